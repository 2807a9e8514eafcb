"""The whole farm locks out an address that guesses passwords, and no other address."""

import re
import time
import urllib.request

import pytest

from deploy.lab import Lab
from overlay.config.sections import ProxySection
from tests.farm.asking import add_subscriber, eventually, sipfarm, sipfarm_json
from tests.farm.raw_phone import RawPhone

MOST = ProxySection().login_failures_max


@pytest.fixture
def mallory(lab: Lab) -> str:
    add_subscriber(lab, "mallory")
    return f"mallory@{lab.farm}"


def lockouts(lab: Lab, node: str) -> list[tuple[str, str]]:
    done = sipfarm("lockout", "list", "--config", str(lab.node(node).config))
    rows = done.stdout.splitlines()[1:]
    return [(row.split()[0], row.split()[1]) for row in rows]


def test_who_guesses_at_one_node_is_locked_out_at_all(lab: Lab, mallory: str) -> None:
    with (
        RawPhone(lab, "p6", "mallory", password="guessed") as guesser,
        RawPhone(lab, "p6", "mallory") as same_place,
        RawPhone(lab, "p6", "carol") as neighbour,
        RawPhone(lab, "p7", "mallory") as elsewhere,
    ):
        for _ in range(MOST):
            assert guesser.register("n1").code == 401
        locked = [(mallory, guesser.address)]
        for node in ("n1", "n2", "n3"):
            eventually(lambda node=node: lockouts(lab, node) == locked, f"{node} knows")  # type: ignore[misc]
            refused = same_place.register(node)
            assert refused.code == 403
            assert 0 < int(refused.get("Retry-After")) <= ProxySection().lockout_s
        assert neighbour.register("n2").code == 200
        assert elsewhere.register("n3").code == 200

        done = sipfarm_json(lab, "n3", "lockout", "end", guesser.address, "--user", mallory)
        assert done["detail"] == "ended here and on 2 other nodes"
        for node in ("n1", "n2", "n3"):
            assert same_place.register(node, ";expires=0").code == 200
        for phone in (neighbour, elsewhere):
            assert phone.register("n1", ";expires=0").code == 200


def test_who_floods_is_dropped_and_heard_again(lab: Lab) -> None:
    """Three times as much as an address may send, for some seconds; a neighbour notices nothing."""
    most = ProxySection().source_requests_per_s_max
    with RawPhone(lab, "p6", "carol") as flood, RawPhone(lab, "p7", "carol") as neighbour:
        before = dropped(lab)
        text = flood.request_text("OPTIONS", f"sip:{lab.farm}", call_id="flood", cseq=1)
        began_s = time.monotonic()
        sent = 0
        while dropped(lab) == before:
            assert time.monotonic() - began_s < 20
            # However long the look at the counter took.
            owed = min(most, round(3 * most * (time.monotonic() - began_s)) - sent)
            for _ in range(owed):
                flood.send("n2", text)
            sent += owed
            time.sleep(1 / 30)
        assert sent >= most, "not before it was too much"
        assert neighbour.ask("n2", "OPTIONS", f"sip:{lab.farm}").code == 200
        assert flood.ask("n3", "OPTIONS", f"sip:{lab.farm}").code == 200, (
            "elsewhere it sent nothing"
        )
        eventually(lambda: answered(flood, lab), "it is heard again", 20)


def answered(phone: RawPhone, lab: Lab) -> bool:
    try:
        return phone.ask("n2", "OPTIONS", f"sip:{lab.farm}", timeout_s=1).code == 200
    except TimeoutError:
        return False


def dropped(lab: Lab) -> int:
    """Requests that n2 dropped as a flood."""
    with urllib.request.urlopen(
        f"http://{lab.node('n2').address}:{lab.config('n2').metrics.port}/metrics",
        timeout=5,
    ) as page:
        found = re.search(r"^sipfarm_proxy_floods_total (\d+)", page.read().decode(), re.MULTILINE)
    return int(found[1]) if found else 0
