"""Hosts reboot, and all lose their power at once."""

import time

from tests.hosts.documents import UPGRADE
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import NODES

_SERVING_WITHIN_S = 10.0


def test_hosts_reboot_while_calls_run(farm: HostsFarm) -> None:
    with farm.load() as tally:
        farm.type(UPGRADE, "Reboot, or other work on a host")
        farm.wait_in_service(*NODES)
        # Without a drain.
        began_s = time.monotonic()
        farm.hosts.reboot("n3")
        farm.wait_in_service("n3")
        farm.note("n3 reboots, until it serves", time.monotonic() - began_s)
    assert tally.failed == [], tally.refusals
    farm.check_all()


def test_all_lose_their_power_at_once(farm: HostsFarm) -> None:
    farm.hosts.kill(*NODES)
    began_s = time.monotonic()
    farm.hosts.start(*NODES)
    farm.wait_in_service(*NODES)
    took_s = time.monotonic() - began_s
    farm.note("all hosts killed, until they serve", took_s)
    farm.check_all()
    assert took_s <= _SERVING_WITHIN_S
    with farm.load(rate=5) as tally:
        pass
    assert tally.failed == [], tally.refusals
    farm.check_records(tally)
