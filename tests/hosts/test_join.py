"""A fourth host joins while calls run."""

import json
import threading
import time
from datetime import datetime

from tests.farm.asking import eventually
from tests.hosts.documents import ROLLOUT
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import FOURTH, NODES, OPERATOR

_CA = "/var/lib/sipfarm-authority/ca"
_CONFIGURATION = ["find", "/etc/sipfarm"]
_S1_HOLD_S = 60.0


def test_an_expired_token_changes_nothing(farm: HostsFarm) -> None:
    command = ["sipfarm", "ca", "token", "--json", "--ca", _CA, "--valid", "1s"]
    token = json.loads(farm.hosts.ssh(OPERATOR, command).stdout)["token"]
    before = farm.hosts.ssh(OPERATOR, _CONFIGURATION).stdout
    entry = _last_token(farm)
    expires_s = datetime.fromisoformat(entry["expires_at"]).timestamp()
    eventually(lambda: time.time() > expires_s, "the token has expired")
    done = farm.hosts.ssh(OPERATOR, ["sipfarm", "node", "join"], given=token, check=False)
    assert done.returncode != 0
    assert "expired" in done.stderr
    assert farm.hosts.ssh(OPERATOR, _CONFIGURATION).stdout == before


def test_a_fourth_host_joins_while_calls_run(farm: HostsFarm) -> None:
    farm.hosts.add(FOURTH)
    farm.nodes = (*NODES, FOURTH)
    serves_s: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set() and not serves_s:
            if FOURTH in farm.in_dns() and farm.is_ready(FOURTH):
                serves_s.append(time.time())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with farm.load() as tally:
            farm.type(ROLLOUT, "A further node", packages=[farm.new])
            farm.wait_in_service(FOURTH)
    finally:
        over.set()
        watcher.join()
    assert tally.failed == [], tally.refusals
    made_s = datetime.fromisoformat(_last_token(farm)["made_at"]).timestamp()
    took_s = serves_s[0] - made_s
    farm.note("n4, from its token to serving (S1)", took_s)
    assert took_s <= _S1_HOLD_S
    farm.check_all()


def _last_token(farm: HostsFarm) -> dict[str, str]:
    lines = farm.hosts.ssh(OPERATOR, f"cat {_CA}/tokens.jsonl").stdout.splitlines()
    made = [json.loads(line) for line in lines]
    entries: list[dict[str, str]] = [each for each in made if not each.get("used_by")]
    return entries[-1]
