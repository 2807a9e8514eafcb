"""With `media.policy = "nat"`, media go through a relay only where they must: for a phone behind a
NAT, and between a browser and a phone.
"""

from collections.abc import Iterator

import pytest

from deploy.lab import Lab, Phone
from tests.farm.asking import add_subscriber, eventually
from tests.farm.conftest import LabKeeper
from tests.farm.phones import Heard
from tests.farm.phones_browser import BrowserPhone
from tests.farm.raw_phone import RawPhone
from tests.farm.rtp_relay import RELAYS, Relay, control_socket, restart_proxies
from tests.sip.credentials import PASSWORD

HEARD = 25
"""RTP packets: half a second."""
HOST = "p7"
PRIVATE = "192.168.7.7"
WITHIN_S = 30.0


@pytest.fixture(scope="module")
def farm(keeper: LabKeeper) -> Iterator[Lab]:
    """A farm with a relay for those who need one."""
    settings = {
        "media.relays": [control_socket(HOST)],
        "media.policy": "nat",
        # A relay on a busy machine takes longer than one in a data centre.
        "media.answer_within_ms": 1_000,
        "proxy.digest_algorithms": ["SHA-256", "MD5"],
    }
    keeper.take_away()
    try:
        lab = Lab.up(2, settings=settings)
        for user in ("alice", "bob", "web"):
            add_subscriber(lab, user)
        yield lab
    finally:
        Lab.down()


@pytest.fixture(scope="module")
def relay(farm: Lab) -> Iterator[Relay]:
    with Relay(farm, HOST) as relay:
        restart_proxies(farm)
        farm.wait_ready(every_service=True)
        yield relay


def _is_heard(phone: Phone) -> bool:
    return phone.count_media().received > HEARD


def test_phones_in_reach_of_one_another_have_no_relay(farm: Lab, relay: Relay) -> None:
    names = {farm.farm: farm.node("n1").address}
    with (
        Phone(farm, "p1", "alice", PASSWORD, names=names) as alice,
        Phone(farm, "p2", "bob", PASSWORD, names=names) as bob,
    ):
        assert alice.register().code == bob.register().code == 200
        assert bob.call(alice.aor).state == "CONFIRMED"
        for phone in (alice, bob):
            eventually(lambda phone=phone: _is_heard(phone), "they hear")  # type: ignore[misc]
        assert relay.is_idle()
        bob.hang_up()
        alice.wait("call", "DISCONNECTED")


def _offer(phone: RawPhone, contact: str) -> str:
    """Call bob with a session description, from a Contact; the Call-ID."""
    call_id = f"{phone.call_id}-{next(phone.cseqs)}"
    uri = f"sip:bob@{phone.farm}"
    fields = [f"Contact: <{contact}>", "Content-Type: application/sdp"]
    host = contact.partition("@")[2].partition(":")[0]
    body = (
        f"v=0\r\no=a 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
    phone.send("n1", phone.proven("n1", "INVITE", uri, fields, body=body, call_id=call_id))
    return call_id


def _offered(callee: RawPhone) -> str:
    """The session description of the INVITE that comes."""
    return callee.await_request("INVITE", WITHIN_S).body


@pytest.mark.parametrize("behind", [True, False])
def test_a_phone_behind_a_nat_has_a_relay(farm: Lab, relay: Relay, behind: bool) -> None:
    with RawPhone(farm, "p3", "alice") as alice, RawPhone(farm, "p4", "bob") as bob:
        assert bob.register("n2").code == 200
        host = PRIVATE if behind else alice.address
        call_id = _offer(alice, f"sip:alice@{host}:{alice.port}")
        body = _offered(bob)
        if behind:
            assert f"c=IN IP4 {RELAYS[HOST]}" in body
            assert PRIVATE not in body
            assert call_id.encode() in relay.calls()
        else:
            assert f"c=IN IP4 {alice.address}" in body
            assert call_id.encode() not in relay.calls()
        assert bob.register("n2", ";expires=0").code == 200


def test_a_browser_and_a_phone_hear_one_another(farm: Lab, relay: Relay) -> None:
    """DTLS-SRTP and ICE on one side, plain RTP on the other."""
    with (
        Phone(farm, "p3", "bob", PASSWORD) as bob,
        BrowserPhone(farm, "p5", "web") as browser,
    ):
        assert bob.register().code == 200
        browser.register()
        browser.dial(bob.aor)
        heard = browser.hears(Heard.TALKING, Heard.ENDED, timeout_s=WITHIN_S)
        assert heard is Heard.TALKING, browser.codes
        assert browser.call_id.encode() in relay.calls()
        eventually(lambda: _is_heard(bob), "the phone hears the browser", WITHIN_S)
        eventually(
            lambda: browser.packets()["received"] > HEARD, "the browser hears the phone", WITHIN_S
        )
        browser.hang_up()
        bob.wait("call", "DISCONNECTED")
        eventually(
            lambda: browser.call_id.encode() not in relay.calls(), "the relay has let go", WITHIN_S
        )
        assert bob.unregister().code == 200
