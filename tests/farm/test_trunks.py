"""Calls to carriers and from them: challenges, broken gateways, emergency calls, billing."""

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from hashlib import md5
from itertools import count

import httpx
import pytest

from deploy.lab import Lab, Phone
from overlay.control.operator_messages import GetSettings, SettingsInForce
from overlay.records import settings
from proxy import digest, shown_settings
from tests.farm.asking import add_subscriber, eventually, one_record, sipfarm, sipfarm_json
from tests.farm.raw_phone import RawPhone
from tests.farm.sipp import Sipp
from tests.sip.dialog import Dialog
from tests.sip.message import Message, ack_of, cancel_of

NODES = ("n1", "n2", "n3")
SECRET = "carriers-secret"
_WITHIN_S = 20.0
_numbers = count(100)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Gateway(RawPhone):
    """A carrier's gateway: an INVITE that the farm repeats, as it was not answered at once, is no
    other one."""

    def __init__(self, lab: Lab, host: str, user: str) -> None:
        super().__init__(lab, host, user)
        self._invites: set[tuple[str, str]] = set()

    def await_request(self, method: str, timeout_s: float = 20.0) -> Message:
        until_s = time.monotonic() + timeout_s
        while True:
            message = super().await_request(method, until_s - time.monotonic())
            name = (message.get("Via"), message.get("CSeq"))
            if method != "INVITE" or name not in self._invites:
                self._invites.add(name)
                return message


@pytest.fixture
def carrier(lab: Lab) -> Iterator[RawPhone]:
    """A carrier's gateway."""
    with Gateway(lab, "p4", "carrier") as gateway:
        yield gateway


@pytest.fixture
def second(lab: Lab) -> Iterator[RawPhone]:
    """Another one of the same carrier."""
    with Gateway(lab, "p3", "carrier") as gateway:
        yield gateway


@pytest.fixture
def eve(lab: Lab) -> Iterator[RawPhone]:
    """A subscriber who calls."""
    add_subscriber(lab, "eve")
    with RawPhone(lab, "p5", "eve") as phone:
        yield phone
    sipfarm_json(lab, "n1", "subscriber", "unblock", "eve")


@pytest.fixture
def trunks(lab: Lab) -> Iterator["Trunks"]:
    found = Trunks(lab)
    yield found
    found.clear()


class Trunks:
    """The farm's trunks, as the operator sees them; in force at every proxy when a change is
    done."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def run(self, *argv: str) -> dict[str, object]:
        done: dict[str, object] = sipfarm_json(self._lab, "n1", "trunk", *argv)
        wanted = self._version("n1")
        eventually(
            lambda: all(self._version(node) == wanted for node in NODES), "all nodes have it"
        )
        return done

    def test(self, name: str) -> list[dict[str, object]]:
        """What the gateways of a trunk say to n1."""
        config = str(self._lab.node("n1").config)
        done = sipfarm("trunk", "test", name, "--config", config, "--json")
        assert done.returncode in (0, 4), done.stderr
        found: list[dict[str, object]] = json.loads(done.stdout)["gateways"]
        return found

    def _version(self, node: str) -> bytes:
        answer = self._lab.ask(node, GetSettings())
        assert isinstance(answer, SettingsInForce)
        return answer.body

    def clear(self) -> None:
        self.run("emergency", "--trunks", "")
        found = self.run("list")["trunks"]
        assert isinstance(found, list)
        for trunk in found:
            self.run("remove", trunk["name"])


def at(gateway: RawPhone, *options: str) -> str:
    return ",".join((f"{gateway.address}:{gateway.port}", *options))


def number() -> str:
    """One that nobody has called yet."""
    return f"0301234{next(_numbers)}"


def dial(
    pool: ThreadPoolExecutor, phone: RawPhone, node: str, uri: str, *fields: str, call_id: str = ""
) -> "Future[Message]":
    return pool.submit(phone.ask, node, "INVITE", uri, fields, call_id=call_id, timeout_s=_WITHIN_S)


def until_taken(
    pool: ThreadPoolExecutor, phone: RawPhone, gateway: RawPhone, node: str, uri: str
) -> None:
    """Wait until the workers of a node have read that calls go there: until a second after the
    change they need not."""
    for _ in range(40):
        answer = dial(pool, phone, node, uri, call_id=f"try-{next(_numbers)}")
        while not answer.done():
            with contextlib.suppress(TimeoutError):
                refuse(gateway, gateway.await_request("INVITE", 0.1), 486, "Busy Here")
                answer.result()
                # One worker has read it; the others do so with their first message a second later.
                time.sleep(1.1 * shown_settings.LOOK_EVERY_S)
                return
        answer.result()
    raise AssertionError("no call comes to the gateway")


def is_complete(lab: Lab, call_id: str) -> bool:
    return one_record(lab, call_id).state == "complete"


def refuse(
    gateway: RawPhone, invite: Message, code: int, reason: str, fields: tuple[str, ...] = ()
) -> None:
    """Refuse until it is acknowledged."""
    gateway.reply(invite, code, reason, fields)
    gateway.await_request("ACK")


def test_a_number_goes_to_the_carrier_with_its_password_and_is_billed(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, eve: RawPhone
) -> None:
    trunks.run("numbering", "--country", "49")
    login = ("--username", "4711", "--password", SECRET)
    trunks.run("add", "north", "--prefixes", "+49", "--gateway", at(carrier), *login)
    for node in NODES:
        until_taken(pool, eve, carrier, node, f"sip:{number()}@{lab.farm}")
        dialled, call_id = number(), f"trunk-{next(_numbers)}"
        answer = dial(pool, eve, node, f"sip:{dialled}@{lab.farm}", call_id=call_id)
        first = carrier.await_request("INVITE")
        assert first.uri == f"sip:+49{dialled[1:]}@{at(carrier)};transport=udp"
        assert first.all("Proxy-Authorization") == []
        assert first.get("P-Asserted-Identity") == f"<{eve.aor}>"
        challenge = 'Digest realm="carrier.example", nonce="abc", algorithm=MD5, qop="auth"'
        refuse(carrier, first, 407, "Prove", (f"Proxy-Authenticate: {challenge}",))
        invite = carrier.await_request("INVITE")
        found = digest.parse(invite.get("Proxy-Authorization"))
        assert found is not None
        ha1 = md5(f"4711:carrier.example:{SECRET}".encode()).hexdigest()
        assert (found.username, found.realm) == ("4711", "carrier.example")
        assert digest.is_right(found, ha1, "INVITE")
        carrier.reply(invite, 180, "Ringing")
        carrier.reply(invite, 200, "OK", [f"Contact: <{carrier.contact}>"])
        final = answer.result()
        assert final.code == 200
        dialog = Dialog.of_caller(final)
        assert all(";k=north" in route for route in dialog.routes)
        other = NODES[(NODES.index(node) + 1) % 3]
        eve.send(other, eve.text_within(dialog, "ACK"))
        carrier.await_request("ACK")
        ended = pool.submit(eve.ask_within, dialog, other, "BYE")
        carrier.reply(carrier.await_request("BYE"), 200, "OK")
        assert ended.result().code == 200
        eventually(partial(is_complete, lab, call_id), "it is billed")
        assert one_record(lab, call_id).trunk == "north"


def test_the_next_gateway_takes_what_the_first_cannot(
    lab: Lab,
    trunks: Trunks,
    pool: ThreadPoolExecutor,
    carrier: RawPhone,
    second: RawPhone,
    eve: RawPhone,
) -> None:
    trunks.run("numbering", "--country", "49")
    gateways = ("--gateway", at(carrier), "--gateway", at(second, "priority=1"))
    trunks.run("add", "north", "--prefixes", "+49", *gateways)
    until_taken(pool, eve, carrier, "n2", f"sip:{number()}@{lab.farm}")

    answer = dial(pool, eve, "n2", f"sip:{number()}@{lab.farm}", call_id="busy-first")
    refuse(carrier, carrier.await_request("INVITE"), 503, "Out Of Lines")
    refuse(second, second.await_request("INVITE"), 486, "Busy Here")
    assert answer.result().code == 486

    answer = dial(pool, eve, "n2", f"sip:{number()}@{lab.farm}", call_id="silent-first")
    carrier.await_request("INVITE")
    refuse(second, second.await_request("INVITE", 15.0), 486, "Busy Here")
    assert answer.result().code == 486
    assert second.is_left_alone("INVITE", 0.2)

    answer = dial(pool, eve, "n2", f"sip:{number()}@{lab.farm}", call_id="none")
    while carrier.await_request("INVITE").get("Call-ID") != "none":
        pass
    refuse(second, second.await_request("INVITE", 15.0), 503, "Out Of Lines")
    assert answer.result().code == 500


def test_the_carriers_challenge_never_reaches_the_caller(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, eve: RawPhone
) -> None:
    trunks.run("add", "north", "--prefixes", "+49", "--gateway", at(carrier))
    until_taken(pool, eve, carrier, "n1", "sip:+49301@farm.test")
    answer = dial(pool, eve, "n1", "sip:+49302@farm.test", call_id="challenged")
    challenge = 'WWW-Authenticate: Digest realm="carrier.example", nonce="abc"'
    refuse(carrier, carrier.await_request("INVITE"), 401, "Prove", (challenge,))
    final = answer.result()
    assert (final.code, final.all("WWW-Authenticate")) == (502, [])


def test_a_caller_gives_up_while_it_rings(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, eve: RawPhone
) -> None:
    trunks.run("add", "north", "--prefixes", "+49", "--gateway", at(carrier))
    uri = "sip:+49302@farm.test"
    until_taken(pool, eve, carrier, "n1", uri)
    text = eve.proven("n1", "INVITE", uri, call_id="gone")
    eve.send("n1", text)
    invite = carrier.await_request("INVITE")
    carrier.reply(invite, 180, "Ringing")
    eve.await_answer(180)
    eve.send("n1", cancel_of(text))
    carrier.reply(carrier.await_request("CANCEL"), 200, "OK")
    carrier.reply(invite, 487, "Request Terminated")
    carrier.await_request("ACK")
    eve.send("n1", ack_of(text, eve.await_answer(487)))
    assert carrier.is_left_alone("INVITE", 0.3)


def test_calls_come_in_from_a_carrier_and_go_to_subscribers_alone(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, second: RawPhone
) -> None:
    known = "P-Asserted-Identity: <sip:+4940555@carrier.example>"
    caller = "sip:+4940555@carrier.example"
    add_subscriber(lab, "+4930777")
    trunks.run("numbering", "--country", "49")
    trunks.run("add", "out", "--prefixes", "+", "--gateway", at(second))
    with RawPhone(lab, "p2", "+4930777") as bob:
        assert bob.register("n2").code == 200
        gateway = ("--gateway", at(carrier), "--sources", carrier.address)
        trunks.run("add", "north", "--prefixes", "+49", *gateway)

        def arrives(node: str, uri: str, call_id: str) -> Message:
            answer = pool.submit(
                *(carrier.ask, node, "INVITE", uri, [known]),
                from_uri=caller,
                call_id=call_id,
                timeout_s=_WITHIN_S,
            )
            seen = bob.await_request("INVITE")
            bob.reply(seen, 200, "OK", [f"Contact: <{bob.contact}>"])
            final = answer.result()
            assert final.code == 200
            return seen

        def is_believed() -> bool:
            seen = arrives("n1", bob.aor, f"in-{next(_numbers)}")
            return seen.get("P-Asserted-Identity") != ""

        eventually(is_believed, "the carrier is believed", 20.0)
        arrives("n1", f"sip:030777@{lab.farm}", "in-national")
        arrives("n1", f"sip:004930777@{lab.node('n1').address}", "in-international")
        eventually(lambda: one_record(lab, "in-national").trunk == "north", "it is billed")
        for nowhere, code in (
            (f"sip:+12125550100@{lab.farm}", 404),
            (f"sip:112@{lab.farm}", 404),
            (f"sip:x@{second.address}:{second.port}", 403),
        ):
            refused = carrier.ask("n1", "INVITE", nowhere, [known], from_uri=caller)
            assert refused.code == code, nowhere
        assert bob.register("n2", ";expires=0").code == 200
    assert second.is_left_alone("INVITE", 0.3)


def test_strangers_and_unproved_callers_get_to_no_trunk(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, eve: RawPhone
) -> None:
    trunks.run("add", "north", "--prefixes", "+49", "--gateway", at(carrier))
    trunks.run("emergency", "--trunks", "north")
    until_taken(pool, eve, carrier, "n1", "sip:+49302@farm.test")
    stranger = "sip:mallory@example.org"
    for uri, code in (("sip:+49302@farm.test", 404), ("sip:112@farm.test", 407)):
        refused = eve.ask("n1", "INVITE", uri, from_uri=stranger, prove=False)
        assert refused.code == code
    for sender in (eve.aor, "sip:anonymous@anonymous.invalid"):
        refused = eve.ask("n1", "INVITE", "sip:+49302@farm.test", from_uri=sender, prove=False)
        assert refused.code in (404, 407)
    assert carrier.is_left_alone("INVITE", 0.3)


def test_an_emergency_call_passes_every_limit_and_tries_every_trunk(
    lab: Lab,
    trunks: Trunks,
    pool: ThreadPoolExecutor,
    carrier: RawPhone,
    second: RawPhone,
    eve: RawPhone,
) -> None:
    trunks.run("add", "north", "--prefixes", "+49", "--gateway", at(carrier))
    trunks.run("add", "rescue", "--prefixes", "+888", "--gateway", at(second))
    trunks.run("emergency", "--numbers", "112,110", "--trunks", "rescue,north")
    until_taken(pool, eve, carrier, "n3", "sip:+49302@farm.test")
    limits = ("--destinations", "bob@", "--calls-per-second-max", "1")
    sipfarm_json(lab, "n1", "subscriber", "set", "eve", *limits)
    sipfarm_json(lab, "n1", "subscriber", "block", "eve")
    for uri in (f"sip:112@{lab.farm}", "urn:service:sos.fire", "tel:110"):
        dialled = "110" if "110" in uri else "112"
        answer = dial(pool, eve, "n3", uri, call_id=f"help-{next(_numbers)}")
        first = second.await_request("INVITE")
        assert first.uri.startswith(f"sip:{dialled}@")
        refuse(second, first, 404, "Not Here")
        again = carrier.await_request("INVITE")
        assert again.uri.startswith(f"sip:{dialled}@")
        refuse(carrier, again, 486, "Busy Here")
        assert answer.result().code == 486
    assert eve.ask("n3", "INVITE", "sip:+49302@farm.test").code == 403
    reset = ("--destinations", "", "--calls-per-second-max", "0")
    sipfarm_json(lab, "n1", "subscriber", "set", "eve", *reset)


def test_a_domain_goes_through_its_trunk(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, eve: RawPhone
) -> None:
    trunks.run("add", "north", "--domains", "north.example", "--gateway", at(carrier))
    until_taken(pool, eve, carrier, "n1", "sip:x@north.example")
    answer = dial(pool, eve, "n1", "sip:desk@north.example", call_id="domain")
    seen = carrier.await_request("INVITE")
    assert seen.uri == "sip:desk@north.example"
    refuse(carrier, seen, 486, "Busy Here")
    assert answer.result().code == 486


CARRIERS_CALLS_MAX = 1_000
"""Of a sipp that is ended by its test, OPTIONS among them."""


def test_a_real_phone_calls_a_carrier_that_wants_a_password(
    lab: Lab, trunks: Trunks, bob: Phone
) -> None:
    gateway = f"{lab.phone('p4').address}:5070"
    login = ("--username", "4711", "--password", SECRET)
    with Sipp(lab, "p4", "carrier", calls=CARRIERS_CALLS_MAX, timeout_s=120) as carrier:
        trunks.run("add", "sipp", "--prefixes", "+49", "--gateway", gateway, *login)
        eventually(lambda: trunks.test("sipp")[0]["status"] == 200, "it answers OPTIONS")

        def told() -> bool:
            nonlocal ended
            ended = bob.call(f"sip:+49301@{lab.farm}")
            return ended.code != 404

        ended = bob.call(f"sip:+49301@{lab.farm}")
        if ended.code == 404:
            eventually(told, "the workers know the trunk", 20.0)
        assert ended.code == 200, carrier.messages()
        bob.hang_up()
        assert bob.wait("call", "DISCONNECTED").code == 200
        eventually(partial(is_complete, lab, ended.call_id), "it is billed")
        assert one_record(lab, ended.call_id).trunk == "sipp"


def test_a_silent_gateway_is_known_and_tried_last(lab: Lab, trunks: Trunks) -> None:
    gateway = f"{lab.phone('p4').address}:5070"
    silent = f"{lab.phone('p4').address}:5071"
    with Sipp(lab, "p4", "carrier", calls=CARRIERS_CALLS_MAX, timeout_s=120):
        gateways = ("--gateway", silent, "--gateway", f"{gateway},priority=1")
        trunks.run("add", "two", "--prefixes", "+49", *gateways)
        states = {each["gateway"]: each["status"] for each in trunks.test("two")}
        assert sorted(states.values()) == [0, 200]

        def is_last() -> bool:
            shown = settings.decode_shown(lab.config("n1").settings_file.read_bytes())
            return shown.down == (f"sip:{silent};transport=udp",)

        eventually(is_last, "n1 has found out", 30.0)
        url = f"http://{lab.node('n1').address}:{lab.config('n1').metrics.port}/metrics"
        lines = httpx.get(url, timeout=5.0).text.splitlines()
        (up,) = (e for e in lines if e.startswith("sipfarm_gateway_up{") and silent in e)
        assert up.endswith(" 0.0")


def test_a_gateway_whose_name_nobody_knows_is_passed_over(
    lab: Lab, trunks: Trunks, pool: ThreadPoolExecutor, carrier: RawPhone, eve: RawPhone
) -> None:
    gateways = ("--gateway", "nowhere.invalid", "--gateway", at(carrier, "priority=1"))
    trunks.run("add", "north", "--prefixes", "+49", *gateways)
    until_taken(pool, eve, carrier, "n1", "sip:+49301@farm.test")
    answer = dial(pool, eve, "n1", "sip:+49302@farm.test", call_id="nameless")
    refuse(carrier, carrier.await_request("INVITE"), 486, "Busy Here")
    assert answer.result().code == 486
