"""What senders may do: digest, identities, limits of subscribers, and attempts to get through."""

import contextlib
from collections.abc import Iterator

import pytest

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, sipfarm, sipfarm_json
from tests.farm.raw_phone import RawPhone
from tests.sip.message import Message, ack_of

NODES = ("n1", "n2", "n3")


@pytest.fixture
def bob(lab: Lab) -> Iterator[RawPhone]:
    """Bob's phone, registered at n1."""
    with RawPhone(lab, "p2", "bob") as phone:
        assert phone.register("n1").code == 200
        yield phone
        assert phone.register("n1", ";expires=0").code == 200


@pytest.fixture
def eve(lab: Lab) -> Iterator[RawPhone]:
    """A subscriber who tries things."""
    add_subscriber(lab, "eve")
    with RawPhone(lab, "p5", "eve") as phone:
        yield phone


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_both_algorithms_are_offered_and_taken(lab: Lab, algorithm: str) -> None:
    with RawPhone(lab, "p2", "bob", algorithm=algorithm) as phone:
        challenge = phone.ask("n1", "REGISTER", f"sip:{lab.farm}", prove=False, to_uri=phone.aor)
        offered = [
            each.partition("algorithm=")[2].split(",")[0]
            for each in challenge.all("WWW-Authenticate")
        ]
        # In the lab's order: its sipp looks at the first alone.
        assert (challenge.code, offered) == (401, ["MD5", "SHA-256"])
        assert phone.register("n1").code == 200
        assert phone.register("n2", ";expires=0").code == 200


def test_a_wrong_password_and_a_stranger_are_challenged_again(lab: Lab) -> None:
    for user in ("bob", "nobody"):
        with RawPhone(lab, "p2", user, password="wrong") as phone:
            refused = phone.register("n1")
            assert refused.code == 401
            assert "stale" not in refused.get("WWW-Authenticate")


def test_a_captured_answer_is_stale_at_every_node(lab: Lab, eve: RawPhone) -> None:
    uri = f"sip:{lab.farm}"
    challenge = eve.ask("n1", "REGISTER", uri, prove=False, to_uri=eve.aor)
    proof = eve.proof_for(challenge, "REGISTER", uri)
    assert eve.ask("n1", "REGISTER", uri, [proof], prove=False, to_uri=eve.aor).code == 200
    for node in NODES:
        again = eve.ask(node, "REGISTER", uri, [proof], prove=False, to_uri=eve.aor)
        assert again.code == 401
        assert all("stale=true" in each for each in again.all("WWW-Authenticate"))
    again = eve.proof_for(challenge, "REGISTER", uri, count=2)
    assert eve.ask("n1", "REGISTER", uri, [again], prove=False, to_uri=eve.aor).code == 200


def _call(
    caller: RawPhone, callee: RawPhone, node: str, *fields: str, from_uri: str = ""
) -> Message:
    """The INVITE that the callee gets, who is busy."""
    call_id = f"call-{next(caller.cseqs)}-{caller.call_id}"
    if from_uri.endswith("@example.org"):
        text = caller.request_text(
            "INVITE", callee.aor, fields, from_uri=from_uri, call_id=call_id, cseq=1
        )
    else:
        text = caller.proven(node, "INVITE", callee.aor, fields, from_uri=from_uri, call_id=call_id)
    caller.send(node, text)
    seen = callee.await_request("INVITE")
    callee.reply(seen, 486, "Busy Here", ["P-Asserted-Identity: <sip:president@example.org>"])
    answer = caller.await_answer(486)
    caller.send(node, ack_of(text, answer))
    callee.await_request("ACK")
    assert answer.all("P-Asserted-Identity") == []
    assert seen.all("Proxy-Authorization") == []
    return seen


def test_the_farm_vouches_for_who_proved_himself(lab: Lab, bob: RawPhone, eve: RawPhone) -> None:
    forged = "P-Asserted-Identity: <sip:president@example.org>"
    preferred = "P-Preferred-Identity: <sip:president@farm.test>"
    for node in NODES:
        seen = _call(eve, bob, node, forged, forged, preferred)
        assert seen.all("P-Asserted-Identity") == [f"<{eve.aor}>"]
        assert seen.all("P-Preferred-Identity") == []


def test_a_stranger_is_heard_and_not_vouched_for(lab: Lab, bob: RawPhone, eve: RawPhone) -> None:
    forged = "P-Asserted-Identity: <sip:president@example.org>"
    seen = _call(eve, bob, "n2", forged, from_uri="sip:eve@example.org")
    assert seen.all("P-Asserted-Identity") == []


def test_who_wants_to_stay_unknown_stays_so_and_proves_himself(
    lab: Lab, bob: RawPhone, eve: RawPhone
) -> None:
    seen = _call(
        *(eve, bob, "n2", "Privacy: id", f"P-Preferred-Identity: <{eve.aor}>"),
        from_uri="sip:anonymous@anonymous.invalid",
    )
    assert seen.all("P-Asserted-Identity") == []
    assert "eve" not in seen.get("From")


def test_in_the_name_of_another_only_if_the_operator_says_so(
    lab: Lab, bob: RawPhone, eve: RawPhone
) -> None:
    office = f"sip:office@{lab.farm}"
    assert eve.ask("n1", "INVITE", bob.aor, from_uri=office).code == 403
    sipfarm_json(lab, "n2", "subscriber", "set", "eve", "--identities", "office")
    seen = _call(eve, bob, "n3", from_uri=office)
    assert seen.all("P-Asserted-Identity") == [f"<{office}>"]


def test_a_blocked_subscriber_neither_registers_nor_calls_nor_is_reached(
    lab: Lab, bob: RawPhone, eve: RawPhone
) -> None:
    assert eve.register("n1").code == 200
    shown = sipfarm_json(lab, "n2", "subscriber", "block", "eve")
    assert shown["blocked"] is True
    for node in NODES:
        refused = eve.register(node)
        assert (refused.code, "blocked" in refused.get("Warning")) == (403, True)
        assert eve.ask(node, "INVITE", bob.aor).code == 403
        assert bob.ask(node, "OPTIONS", eve.aor).code == 480
    assert sipfarm_json(lab, "n3", "subscriber", "show", "eve")["blocked"] is True
    sipfarm_json(lab, "n3", "subscriber", "unblock", "eve")
    assert eve.register("n1").code == 200
    assert eve.register("n1", ";expires=0").code == 200


def test_a_subscribers_own_limits(lab: Lab, bob: RawPhone, eve: RawPhone) -> None:
    limits = ("--contacts-max", "1", "--calls-per-second-max", "1", "--destinations", "bob@,0")
    sipfarm_json(lab, "n1", "subscriber", "set", "eve", *limits)
    assert eve.register("n1").code == 200
    assert eve.register("n2", uri="sip:eve@192.0.2.1").code == 403
    assert eve.register("n2", ";expires=0").code == 200
    elsewhere = eve.ask("n2", "INVITE", f"sip:carol@{lab.farm}")
    assert (elsewhere.code, "destination" in elsewhere.get("Warning")) == (403, True)
    for attempt in range(20):
        answer = eve.ask("n3", "INVITE", f"sip:00{attempt}@{lab.farm}", call_id=f"r{attempt}")
        assert answer.code in (404, 503)
        if answer.code == 503:
            assert (answer.get("Retry-After"), "a second" in answer.get("Warning")) == ("1", True)
            break
    else:
        raise AssertionError("twenty calls at once, and none was refused")
    sipfarm_json(
        *(lab, "n1", "subscriber", "set", "eve", "--contacts-max", "0"),
        *("--calls-per-second-max", "0", "--destinations", ""),
    )


def test_subscriber_show_of_nobody_is_1(lab: Lab) -> None:
    config = str(lab.node("n1").config)
    assert sipfarm("subscriber", "show", "ghost", "--config", config).returncode == 1


@pytest.fixture
def outside(lab: Lab) -> Iterator[RawPhone]:
    """What an open relay would send to."""
    with RawPhone(lab, "p4", "outside") as phone:
        yield phone


def _attempts(farm: str, node: str, target: str) -> dict[str, dict[str, object]]:
    """Ways to have a request sent to `target`, an `address:port` that is none of the farm's
    business, by somebody who has proved nothing."""
    stranger = "sip:mallory@example.org"
    out = f"sip:x@{target}"
    address, port = target.split(":")
    return {
        "a foreign Request-URI": {"uri": out, "from_uri": stranger},
        "in the farm's own name": {"uri": out, "from_uri": f"sip:alice@{farm}"},
        "by its address": {"uri": out, "from_uri": f"sip:alice@{node}"},
        "anonymous": {"uri": out, "from_uri": "sip:anonymous@anonymous.invalid"},
        "a To tag": {"uri": out, "from_uri": stranger, "to_tag": "x"},
        "a To tag and a Route of the farm": {
            "uri": out,
            "from_uri": stranger,
            "to_tag": "x",
            "fields": [f"Route: <sip:{farm};lr>"],
        },
        "a forged Record-Route": {
            "uri": out,
            "from_uri": stranger,
            "to_tag": "x",
            "fields": [f"Route: <sip:{farm};lr;s={'0' * 24};d=n1~udp~{address}~{port}>"],
        },
        "a forged flow": {
            "uri": f"sip:bob@{farm}",
            "from_uri": stranger,
            "fields": [f"Route: <sip:n1.{farm};lr;f=n1~udp~{address}~{port};s={'0' * 24}>"],
        },
        "a Route to there": {
            "uri": f"sip:bob@{farm}",
            "from_uri": stranger,
            "fields": [f"Route: <sip:{farm};lr>, <sip:{target};lr>"],
        },
        "a Route to there alone": {
            "uri": f"sip:bob@{farm}",
            "from_uri": stranger,
            "fields": [f"Route: <sip:{target};lr>"],
        },
        "a strict Route": {
            "uri": f"sip:{farm}",
            "from_uri": stranger,
            "fields": [f"Route: <sip:{target}>"],
        },
        "the farm as a strict router": {
            "uri": f"sip:{farm};lr",
            "from_uri": stranger,
            "fields": [f"Route: <{out}>"],
        },
        "the farm in the user part": {
            "uri": f"sip:{farm}%40{farm}@{target}",
            "from_uri": stranger,
        },
        "maddr": {"uri": f"sip:bob@{farm};maddr={address};transport=udp", "from_uri": stranger},
        "maddr of the farm itself": {"uri": f"sip:{farm};maddr={address}", "from_uri": stranger},
        "a port of the farm's name": {"uri": f"sip:x@{farm}:{port}", "from_uri": stranger},
    }


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "BYE", "INFO"])
def test_nobody_gets_through(
    lab: Lab, bob: RawPhone, eve: RawPhone, outside: RawPhone, method: str
) -> None:
    node = lab.node("n1").address
    for name, attempt in _attempts(lab.farm, node, f"{outside.address}:{outside.port}").items():
        with contextlib.suppress(TimeoutError):
            answer = eve.ask("n1", method, prove=False, timeout_s=0.4, **attempt)  # type: ignore[arg-type]
            assert answer.code >= 300, name
    assert outside.is_left_alone(method, 0.3)


def test_nobody_registers_for_elsewhere_or_for_another(lab: Lab, eve: RawPhone) -> None:
    contact = [f"Contact: <{eve.contact}>"]
    attempts = (
        ("sip:example.org", "sip:bob@example.org", 403),
        (f"sip:{lab.farm}", "sip:bob@example.org", 404),
        (f"sip:{lab.farm}", f"sip:bob@{lab.farm}", 403),
        (f"sip:bob@{lab.farm}", f"sip:alice@{lab.farm}", 403),
    )
    for uri, to, code in attempts:
        assert eve.ask("n1", "REGISTER", uri, contact, to_uri=to).code == code
