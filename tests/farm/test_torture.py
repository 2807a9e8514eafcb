"""A node passes messages that only look wrong, and refuses wrong ones (RFC 4475, RFC 5118)."""

from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from tests.farm import torture_invalid, torture_valid
from tests.farm.asking import add_subscriber
from tests.farm.conftest import LabKeeper
from tests.farm.liveness import Watch
from tests.farm.raw_phone import RawPhone
from tests.farm.torture import Case, Stage, busy

CASES = [
    (case, over) for case in (*torture_valid.CASES, *torture_invalid.CASES) for over in case.over
]
REASONS = (b"486 = 2**3 * 5**2 \xd0\xbd\xd0\xbe \xe2\x82\xac", b"486 ")


@pytest.fixture(scope="module")
def bob(keeper: LabKeeper) -> Iterator[RawPhone]:
    """Bob's phone, registered at n2; and a subscriber for REGISTERs, with nothing bound after."""
    lab = keeper.lab()
    for user in ("torture", "schemer"):
        add_subscriber(lab, user)
    with RawPhone(lab, "p2", "bob") as phone:
        assert phone.register("n2").code == 200
        yield phone
        assert phone.register("n2", ";expires=0").code == 200
    with RawPhone(lab, "p6", "torture") as phone:
        phone.ask(
            "n1", "REGISTER", f"sip:{lab.farm}", ["Contact: *", "Expires: 0"], to_uri=phone.aor
        )


@pytest.fixture(scope="module")
def watch(keeper: LabKeeper) -> Iterator[Watch]:
    """Whether n1 was well all the time."""
    watch = Watch(keeper.lab(), "n1", "p6")
    yield watch
    watch.well()


@pytest.mark.parametrize(
    ("case", "over"), CASES, ids=[f"{case.source}, {case.name}, {over}" for case, over in CASES]
)
def test_a_message(lab: Lab, bob: RawPhone, watch: Watch, case: Case, over: str) -> None:
    Stage(lab, "n1", "p6", bob).play(case, over)


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_of_any_text_comes_back(
    lab: Lab, bob: RawPhone, watch: Watch, reason: bytes
) -> None:
    """RFC 4475 3.1.1.12 and 3.1.1.13."""
    with RawPhone(lab, "p6", "stranger") as stranger:
        _invite(stranger, f"sip:bob@{lab.farm}")
        bob.send_bytes("n1", busy(_next(bob)).replace(b"486 Busy Here", reason, 1))
        assert stranger.await_answer().first_line.encode() == b"SIP/2.0 " + reason


def test_header_fields_in_a_contact_go_nowhere(lab: Lab, bob: RawPhone, watch: Watch) -> None:
    """RFC 4475 3.3.14: who calls is not sent along a Route that the callee has written."""
    with RawPhone(lab, "p3", "schemer") as phone, RawPhone(lab, "p6", "stranger") as stranger:
        hidden = f"{phone.contact};method=BYE?Route=%3Csip:outside.example.org;lr%3E"
        assert phone.register("n1", uri=hidden).code == 200
        _invite(stranger, phone.aor)
        invite = phone.await_request("INVITE")
        assert invite.uri == phone.contact
        assert invite.all("Route") == []
        phone.reply(invite, 486, "Busy Here")
        assert stranger.await_answer().code == 486
        assert phone.register("n1", ";expires=0", uri=hidden).code == 200


def test_what_follows_a_message_in_a_datagram_is_none_on_a_connection(
    lab: Lab, watch: Watch
) -> None:
    """Else anybody could send a phone what seems to come from the farm (RFC 3261 18.3)."""
    with (
        RawPhone(lab, "p3", "schemer", tcp_to="n1") as phone,
        RawPhone(lab, "p6", "stranger") as stranger,
    ):
        assert phone.register("n1").code == 200
        one, other = (
            stranger.request_text(
                "MESSAGE", phone.aor, from_uri="sip:x@example.org", call_id=call_id, cseq=1
            )
            for call_id in ("one", "other")
        )
        stranger.send("n1", one + other)
        stranger.send("n1", one.replace(": one", ": last"))
        seen = [phone.await_request("MESSAGE").get("Call-ID") for _ in range(2)]
        assert sorted(seen) == ["last", "one"]
        assert phone.register("n1", ";expires=0").code == 200


def test_messages_on_a_connection_in_pieces_and_together(lab: Lab, watch: Watch) -> None:
    """RFC 3261 18.3; and an empty line asks whether the connection is there (RFC 5626 3.5.1)."""
    with RawPhone(lab, "p6", "stranger", tcp_to="n1") as phone:
        one, other, third = (
            phone.request_text("OPTIONS", f"sip:{lab.farm}", call_id=call_id, cseq=1).encode()
            for call_id in ("one", "other", "third")
        )
        stream = b"\r\n" + one + b"\r\n\r\n" + other + third
        for start in range(0, len(stream), 100):
            phone.send_bytes("n1", stream[start : start + 100])
        assert [phone.receive().get("Call-ID") for _ in range(3)] == ["one", "other", "third"]
        phone.send_bytes("n1", b"\r\n\r\n")
        assert phone.receive_bytes(20) == b"\r\n"


def test_answers_go_back_to_where_a_request_came_from(lab: Lab, watch: Watch) -> None:
    """RFC 3261 18.2.1, 18.2.2, RFC 3581 4."""
    with RawPhone(lab, "p6", "stranger") as phone:
        text = phone.request_text("OPTIONS", f"sip:{lab.farm}", call_id="behind", cseq=1)
        own = f"{phone.address}:{phone.port}"
        for sent_by in ("192.0.2.77:9", "host.invalid"):
            phone.send("n1", text.replace(own, sent_by, 1))
            via = phone.receive().get("Via")
            assert f"received={phone.address}" in via
            assert f"rport={phone.port}" in via
        elsewhere = text.replace(own, f"192.0.2.77:{phone.port}", 1)
        phone.send("n1", elsewhere.replace(";rport", "", 1))
        via = phone.receive().get("Via")
        assert f"received={phone.address}" in via
        assert "rport" not in via


def _invite(stranger: RawPhone, uri: str) -> None:
    text = stranger.request_text(
        "INVITE", uri, from_uri="sip:x@example.org", call_id=stranger.call_id, cseq=1
    )
    stranger.send("n1", text)


def _next(phone: RawPhone) -> bytes:
    while True:
        raw = phone.receive_bytes(20)
        if raw.startswith(b"INVITE "):
            return raw
