"""The registrar follows RFC 3261 10.3, RFC 3327 and RFC 5626 to the letter, on the wire."""

import contextlib
import re
from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from overlay.control.proxy_messages import Locate, Located
from tests.farm.asking import eventually
from tests.farm.raw_phone import RawPhone
from tests.sip.message import Message, ack_of, cancel_of

OUTBOUND = ("Supported: path, outbound",)


def flow(reg_id: int, device: str = "1") -> str:
    return f';reg-id={reg_id};+sip.instance="<urn:uuid:{device}>"'


@pytest.fixture
def dave(lab: Lab) -> Iterator[RawPhone]:
    """Dave's phone, without bindings before and after."""
    with RawPhone(lab, "p3", "dave") as phone:
        _clear(phone)
        yield phone
        _clear(phone)


def _clear(phone: RawPhone) -> None:
    fields = ["Contact: *", "Expires: 0"]
    uri = f"sip:{phone.farm}"
    call_id = f"clear-{phone.call_id}"
    assert phone.ask("n3", "REGISTER", uri, fields, to_uri=phone.aor, call_id=call_id).code == 200


def _bindings(answer: Message) -> dict[str, int]:
    text = ",".join(answer.all("Contact"))
    return {uri: int(s) for uri, s in re.findall(r"<([^>]+)>;expires=(\d+)", text)}


def _send(phone: RawPhone, node: str, *fields: str, cseq: int = 0, call_id: str = "") -> Message:
    return phone.ask(
        *(node, "REGISTER", f"sip:{phone.farm}", fields),
        to_uri=phone.aor,
        cseq=cseq,
        call_id=call_id,
    )


def test_several_contacts_each_for_its_time_and_a_date(dave: RawPhone) -> None:
    done = _send(
        dave,
        "n1",
        "Contact: <sip:dave@192.0.2.1>;expires=100;q=0.5, <sip:dave@192.0.2.2>",
        "m: <sip:dave@192.0.2.3>;expires=99999",
        "Expires: 200",
    )
    assert done.code == 200
    assert done.get("Date").endswith("GMT")
    granted = _bindings(done)
    assert granted["sip:dave@192.0.2.1"] == 100
    assert 180 <= granted["sip:dave@192.0.2.2"] <= 200
    assert 3240 <= granted["sip:dave@192.0.2.3"] <= 3600
    assert len(granted) == 3
    assert "<sip:dave@192.0.2.1>;expires=100;q=0.5" in ",".join(done.all("Contact"))
    listed = _send(dave, "n2")
    assert set(_bindings(listed)) == set(_bindings(done))


def test_too_brief_is_423_and_nothing_is_bound(dave: RawPhone) -> None:
    refused = _send(dave, "n1", "Contact: <sip:dave@192.0.2.1>, <sip:dave@192.0.2.2>;expires=1")
    assert (refused.code, refused.get("Min-Expires")) == (423, "60")
    assert _bindings(_send(dave, "n2")) == {}


def test_star_alone_with_expires_0_removes_all(dave: RawPhone) -> None:
    _send(dave, "n1", "Contact: <sip:dave@192.0.2.1>, <sip:dave@192.0.2.2>")
    assert _send(dave, "n2", "Contact: *").code == 400
    assert _send(dave, "n2", "Contact: *", "Expires: 60").code == 400
    assert _send(dave, "n2", "Contact: *, <sip:dave@192.0.2.9>", "Expires: 0").code == 400
    assert len(_bindings(_send(dave, "n3"))) == 2
    assert _bindings(_send(dave, "n2", "Contact: *", "Expires: 0")) == {}
    assert _bindings(_send(dave, "n3")) == {}


def test_an_older_cseq_of_the_same_call_is_500_at_any_node(dave: RawPhone) -> None:
    contact = "Contact: <sip:dave@192.0.2.1>"
    assert _send(dave, "n1", contact, cseq=20).code == 200
    assert _send(dave, "n2", f"{contact};expires=0", cseq=10).code == 500
    assert len(_bindings(_send(dave, "n3"))) == 1
    assert _send(dave, "n3", f"{contact};expires=0", cseq=30).code == 200
    assert _bindings(_send(dave, "n1")) == {}


def test_the_same_contact_written_otherwise_is_one_binding(dave: RawPhone) -> None:
    _send(dave, "n1", "Contact: <sip:d%61ve@Phone.Example.ORG;ob;Transport=UDP>")
    done = _send(dave, "n2", "Contact: <sip:dave@phone.example.org;transport=udp>")
    assert list(_bindings(done)) == ["sip:dave@phone.example.org;transport=udp"]
    other = _send(dave, "n3", "Contact: <sip:dave@phone.example.org:5060;transport=udp>")
    assert len(_bindings(other)) == 2


def test_whom_and_what_it_is_not_for(dave: RawPhone) -> None:
    contact = [f"Contact: <{dave.contact}>"]
    assert dave.ask("n1", "REGISTER", "sip:example.org", contact, to_uri=dave.aor).code == 403
    elsewhere = "sip:dave@example.org"
    assert dave.ask("n1", "REGISTER", f"sip:{dave.farm}", contact, to_uri=elsewhere).code == 404
    alice = f"sip:alice@{dave.farm}"
    assert dave.ask("n1", "REGISTER", f"sip:{dave.farm}", contact, to_uri=alice).code == 403
    assert _send(dave, "n1", f"Contact: <sip:dave@{dave.farm}>").code == 403
    unknown = _send(dave, "n1", *contact, "Require: teleport, path")
    assert (unknown.code, unknown.get("Unsupported")) == (420, "teleport")


def test_a_path_is_for_those_who_know_it(dave: RawPhone) -> None:
    path = "Path: <sip:192.0.2.7;lr>"
    refused = _send(dave, "n1", f"Contact: <{dave.contact}>", path)
    assert (refused.code, refused.get("Unsupported")) == (420, "path")
    done = _send(dave, "n1", f"Contact: <{dave.contact}>", path, "Supported: path")
    assert (done.code, done.get("Path")) == (200, "<sip:192.0.2.7;lr>")


def test_calls_go_along_the_path(lab: Lab, dave: RawPhone) -> None:
    """An edge proxy in front of dave, played by a socket, is on the way of his calls."""
    with RawPhone(lab, "p4", "edge") as edge, RawPhone(lab, "p5", "carol") as carol:
        path = f"<sip:{edge.address}:{edge.port};lr>"
        inner = "sip:dave@10.99.0.1:5060"
        done = dave.register("n1", fields=[f"Path: {path}", "Supported: path"], uri=inner)
        assert done.code == 200
        carol.send("n2", carol.proven("n2", "OPTIONS", dave.aor, call_id="c"))
        seen = edge.await_request("OPTIONS")
        assert seen.uri == inner
        assert seen.get("Route") == path
        edge.reply(seen, 200, "OK")
        assert carol.receive().code == 200


def test_a_flow_is_told_and_replaced_by_its_device_and_number(lab: Lab, dave: RawPhone) -> None:
    with RawPhone(lab, "p3", "dave", tcp_to="n1") as first:
        done = first.register("n1", flow(1), OUTBOUND)
        assert (done.code, done.get("Require")) == (200, "outbound")
        assert done.get("Flow-Timer") == "120"
        assert "reg-id=1" in done.get("Contact")
    with RawPhone(lab, "p3", "dave", tcp_to="n2") as again:
        done = again.register("n2", flow(1), OUTBOUND)
        assert list(_bindings(done)) == [again.contact]


def test_a_first_hop_without_outbound_is_439(dave: RawPhone) -> None:
    hop = "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKedge"
    assert dave.register("n1", flow(1), [*OUTBOUND, hop]).code == 439
    path = "Path: <sip:192.0.2.7;lr;ob>"
    assert dave.register("n1", flow(1), [*OUTBOUND, hop, path]).code == 200


def test_a_device_with_two_flows_is_reached_once_and_by_the_other_when_one_is_gone(
    lab: Lab, dave: RawPhone
) -> None:
    with (
        RawPhone(lab, "p3", "dave", tcp_to="n2") as second,
        RawPhone(lab, "p5", "carol") as carol,
    ):
        first = RawPhone(lab, "p3", "dave", tcp_to="n1")
        assert second.register("n2", flow(2), OUTBOUND).code == 200
        assert len(_bindings(first.register("n1", flow(1), OUTBOUND))) == 2
        for node in ("n1", "n3"):
            carol.send(node, _proven(carol, node, dave.aor))
            first.reply(first.await_request("MESSAGE"), 200, "OK")
            assert second.is_left_alone("MESSAGE", 0.3)
            assert carol.receive().code == 200
        first.close()
        for node in ("n3", "n1", "n2"):
            carol.send(node, _proven(carol, node, dave.aor))
            second.reply(second.await_request("MESSAGE", 15), 200, "OK")
            assert carol.await_answer().code == 200


@contextlib.contextmanager
def called_on_the_other_flow(lab: Lab, call_id: str) -> Iterator[tuple[RawPhone, RawPhone, str]]:
    """Dave's device, of whose two flows one has failed, the caller, and the text of the INVITE."""
    with (
        RawPhone(lab, "p3", "dave", tcp_to="n2") as second,
        RawPhone(lab, "p5", "carol") as carol,
    ):
        with RawPhone(lab, "p3", "dave", tcp_to="n1") as first:
            assert second.register("n2", flow(2), OUTBOUND).code == 200
            assert first.register("n1", flow(1), OUTBOUND).code == 200
        invite = carol.request_text(
            *("INVITE", second.aor), from_uri="sip:carol@example.org", call_id=call_id, cseq=1
        )
        carol.send("n3", invite)
        yield second, carol, invite


@pytest.mark.usefixtures("dave")
def test_a_call_rings_on_the_other_flow_and_can_be_given_up(lab: Lab) -> None:
    with called_on_the_other_flow(lab, "gives-up") as (second, carol, invite):
        ringing = second.await_request("INVITE", 15)
        second.reply(ringing, 180, "Ringing")
        carol.await_answer(180)
        carol.send("n3", cancel_of(invite))
        second.reply(second.await_request("CANCEL"), 200, "OK")
        second.reply(ringing, 487, "Request Terminated")
        carol.send("n3", ack_of(invite, carol.await_answer(487)))


@pytest.mark.usefixtures("dave")
def test_what_the_device_says_is_told_though_a_flow_had_failed(lab: Lab) -> None:
    with called_on_the_other_flow(lab, "busy") as (second, carol, invite):
        second.reply(second.await_request("INVITE", 15), 486, "Busy Here")
        ended = carol.await_answer()
        assert ended.first_line == "SIP/2.0 486 Busy Here"
        carol.send("n3", ack_of(invite, ended))


def _proven(carol: RawPhone, node: str, to: str) -> str:
    """A MESSAGE that answers the challenge of this node."""
    call_id = f"{carol.call_id}-{node}-{next(carol.cseqs)}"
    return carol.proven(node, "MESSAGE", to, call_id=call_id)


def test_flows_of_a_dead_node_are_not_tried(breakable_lab: Lab, dave: RawPhone) -> None:
    lab = breakable_lab
    with (
        RawPhone(lab, "p3", "dave", tcp_to="n2") as second,
        RawPhone(lab, "p3", "dave", tcp_to="n1") as first,
        RawPhone(lab, "p5", "carol") as carol,
    ):
        assert second.register("n2", flow(2), OUTBOUND).code == 200
        assert first.register("n1", flow(1), OUTBOUND).code == 200
        lab.kill("n1")
        eventually(lambda: _first_owner(lab, "n3") == "n2", "n3 sends to the flow at n2")
        carol.send("n3", _proven(carol, "n3", dave.aor))
        second.reply(second.await_request("MESSAGE"), 200, "OK")


def _first_owner(lab: Lab, node: str) -> str:
    answer = lab.ask(node, Locate(aor=f"dave@{lab.farm}"))
    assert isinstance(answer, Located)
    return answer.targets[0].owner if answer.targets else ""
