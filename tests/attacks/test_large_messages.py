"""A few large messages stop no node and fill no memory."""

import pytest

from deploy.lab import Lab
from overlay.base.limits import SIP_FIELD_CHARS_MAX
from tests.attacks.hostile import counted, is_served, shared_bytes
from tests.farm.raw_phone import RawPhone

DATAGRAM_CHARS = 60_000


@pytest.mark.parametrize(
    "field",
    [
        "Authorization: Digest " + "a" * DATAGRAM_CHARS,
        "Contact: " + "<sip:a@b>," * (DATAGRAM_CHARS // 10),
        "Subject: " + "x\r\n " * (DATAGRAM_CHARS // 4),
        "Route: <sip:a;lr>" + ", <sip:a;lr>" * (DATAGRAM_CHARS // 12),
    ],
    ids=lambda field: field.partition(":")[0],
)
def test_a_header_field_that_is_too_long_stops_nobody(lab: Lab, field: str) -> None:
    """Two datagrams with the first of these stopped a node for 24.6 s."""
    with RawPhone(lab, "p6", "mallory") as mallory, RawPhone(lab, "p7", "carol") as neighbour:
        before = counted(lab, "n1", "oversized")
        for number in range(1, 21):
            text, _ = mallory.request_text(
                "REGISTER", f"sip:{lab.farm}", [field], call_id=f"large-{number}", cseq=1
            )
            mallory.send("n1", text)
        assert is_served(neighbour, "n1")
        assert mallory.receive().code == 400
        assert counted(lab, "n1", "oversized") > before


def test_a_field_as_long_as_may_be_stops_nobody(lab: Lab) -> None:
    """One that is not refused for its length."""
    field = "Authorization: Digest " + "a" * (SIP_FIELD_CHARS_MAX - 100)
    with RawPhone(lab, "p6", "mallory") as mallory, RawPhone(lab, "p7", "carol") as neighbour:
        for number in range(1, 101):
            text, _ = mallory.request_text(
                *("REGISTER", f"sip:{lab.farm}", [field]),
                to_uri=mallory.aor,
                call_id=f"longest-{number}",
                cseq=1,
            )
            mallory.send("n1", text)
        assert is_served(neighbour, "n1")
        assert mallory.receive().code == 401


def test_a_large_body_of_a_stranger_is_refused(lab: Lab) -> None:
    with RawPhone(lab, "p6", "mallory") as mallory:
        text, _ = mallory.request_text(
            "MESSAGE", f"sip:carol@{lab.farm}", call_id="large-body", cseq=1
        )
        body = "x" * 17_000
        mallory.send("n1", text.replace("Length: 0\r\n\r\n", f"Length: {len(body)}\r\n\r\n{body}"))
        assert mallory.receive().code == 413


def test_long_tags_fill_no_memory(lab: Lab) -> None:
    """INVITEs with tags of 50 KB, below the limit on floods, filled the memory of all of a node's
    processes in 25 s."""
    with (
        RawPhone(lab, "p6", "mallory") as mallory,
        RawPhone(lab, "p7", "carol") as carol,
    ):
        assert carol.register("n1").code == 200
        before = shared_bytes(lab, "n1")
        assert before > 0
        rung = 0
        for number, length in enumerate((50_000, 7_000, 1_000) * 100, 1):
            text, _ = mallory.request_text(
                "INVITE",
                carol.aor,
                from_uri="sip:mallory@elsewhere.test",
                from_tag="t" * length,
                call_id=f"tag-{number}",
                cseq=1,
            )
            mallory.send("n1", text)
            if length == 1_000:
                # So that none is lost on the way.
                invite = carol.await_request("INVITE")
                assert "t" * length in invite.get("From")
                rung += 1
        assert rung == 100
        grown = shared_bytes(lab, "n1") - before
        assert grown < 300 * 1_024, "a pin of less than a KiB for each that rings, and no more"
        assert carol.register("n1", ";expires=0").code == 200
