"""Nothing that is signed for one call can be taken for another."""

import pytest

from deploy.lab import Lab
from tests.attacks.hostile import counted
from tests.farm.raw_phone import RawPhone


@pytest.mark.parametrize(
    "place",
    ["SIP/2.0\r\n", "branch=", "From: <", ";tag=", "To: <", "Call-ID: ", "CSeq: 1", "Contact: <"],
)
@pytest.mark.parametrize("control", ["\x00", "\x07", "\r"], ids=["NUL", "BEL", "CR"])
def test_a_control_character_gets_past_no_door(lab: Lab, place: str, control: str) -> None:
    """A NUL in a Call-ID made the farm sign a call that was another."""
    with RawPhone(lab, "p6", "mallory") as mallory, RawPhone(lab, "p7", "carol") as carol:
        assert carol.register("n1").code == 200
        text, _ = mallory.request_text(
            *("INVITE", carol.aor), from_uri="sip:m@elsewhere.test", call_id="shifted", cseq=1
        )
        at = text.index(place) + (0 if place.endswith("\n") else len(place))
        before = counted(lab, "n1", "malformed")
        mallory.send("n1", text[:at] + control + text[at:])
        # What Kamailio's own parser drops gets no answer; this one does, and it came later.
        assert mallory.ask("n1", "OPTIONS", f"sip:{lab.farm}", call_id="after").code == 200
        assert carol.is_left_alone("INVITE", 0.3)
        assert counted(lab, "n1", "malformed") >= before
        assert carol.register("n1", ";expires=0").code == 200


@pytest.mark.parametrize("changed", ["Contact", "body"])
def test_a_proof_that_was_seen_takes_no_other_call_along(lab: Lab, changed: str) -> None:
    """Who sends from her address what dave has proved sends all of it, or proves anew."""
    with RawPhone(lab, "p6", "dave") as dave, RawPhone(lab, "p7", "carol") as carol:
        assert carol.register("n1").code == 200
        call_id = f"proved-{changed}"
        first, _ = dave.request_text("INVITE", carol.aor, call_id=call_id, cseq=1)
        dave.send("n1", first)
        challenge = dave.receive()
        assert challenge.code == 407
        proof = dave.proof_for(challenge, "INVITE", carol.aor)
        text, _ = dave.request_text("INVITE", carol.aor, [proof], call_id=call_id, cseq=2)
        dave.send("n1", text)
        carol.await_request("INVITE")
        dave.send("n1", text)
        carol.await_request("INVITE")
        if changed == "Contact":
            other = text.replace(f"Contact: <{dave.contact}>", "Contact: <sip:m@198.51.100.66>")
        else:
            other = text.replace("Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\nv=0")
        assert other != text
        dave.send("n1", other)
        refused = dave.receive()
        assert refused.code == 407
        assert "stale=true" in refused.get("Proxy-Authenticate")
        assert carol.is_left_alone("INVITE", 0.3)
        assert carol.register("n1", ";expires=0").code == 200
