"""What a REGISTER asks the daemon for, and which answer the phone gets."""

from collections import Counter

import pytest

from overlay.control.proxy_messages import Authenticate, Register, Registered
from overlay.records.register import Contact, ContactChange, RegisterOutcome
from overlay.records.subscriber import Policy
from proxy.routes import registrar
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker, answer_to, secrets_of
from tests.unit.proxy.fake_ksr import FakeKsr

PHONE = "sip:alice@192.0.2.10:5060"
FLOW = f'<{PHONE}>;+sip.instance="<urn:uuid:1>";reg-id=2'


@pytest.fixture(autouse=True)
def _register(kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    message = kamailio.message
    message.method, message.request_uri = "REGISTER", "sip:farm.test"
    message.to_uri = message.from_uri = "sip:alice@farm.test"
    message.cseq = 7
    message.fields = {"Contact": [f"<{PHONE}>"]}
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.DONE)


def _asked(daemon: FakeDaemon) -> Register:
    (asked,) = daemon.asked
    assert isinstance(asked, Register)
    return asked


def test_a_phone_that_any_node_reaches(worker: Worker, daemon: FakeDaemon) -> None:
    registrar.register(worker)
    asked = _asked(daemon)
    assert (asked.aor, asked.call_id, asked.cseq) == ("alice@farm.test", "call-1", 7)
    (change,) = asked.contacts
    assert change == ContactChange(uri=PHONE, expires_s=change.expires_s)
    assert 3240 <= change.expires_s <= 3600
    assert asked.user_agent == "phone"


@pytest.mark.parametrize(
    ("protocol", "source", "received"),
    [
        ("tcp", ("192.0.2.10", 40000), "sip:192.0.2.10:40000;transport=tcp"),
        ("udp", ("198.51.100.1", 1024), "sip:198.51.100.1:1024;transport=udp"),
    ],
)
def test_a_phone_that_only_this_node_reaches(
    worker: Worker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    protocol: str,
    source: tuple[str, int],
    received: str,
) -> None:
    kamailio.message.protocol, kamailio.message.source = protocol, source
    registrar.register(worker)
    (change,) = _asked(daemon).contacts
    assert (change.uri, change.received, change.owner) == (PHONE, received, "n1")


def test_the_phone_is_told_that_few_nodes_hold_it(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    registrar.register(worker)
    assert not any(field.startswith("Warning:") for field in kamailio.reply_fields)
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.DONE, weak=True)
    registrar.register(worker)
    assert 'Warning: 399 farm.test "Held by fewer nodes than usual"\r\n' in kamailio.reply_fields


def test_a_connection_to_a_node_that_drains_ends(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.DONE, move=True)
    registrar.register(worker)
    assert ("connection ends", registrar.MOVE_AFTER_S) not in kamailio.done
    kamailio.message.protocol = "tcp"
    registrar.register(worker)
    assert ("connection ends", registrar.MOVE_AFTER_S) in kamailio.done


def test_all_bindings_are_listed(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    bindings = (
        Contact(uri=PHONE, expires_s=60),
        Contact(uri="sip:a@h", expires_s=5, q=250),
    )
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.DONE, bindings=bindings)
    registrar.register(worker)
    assert kamailio.done == [200]
    assert kamailio.reply_fields[0] == (
        f"Contact: <{PHONE}>;expires=60, <sip:a@h>;expires=5;q=0.25\r\n"
    )
    assert kamailio.reply_fields[1].startswith("Date: ")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(RegisterOutcome.STALE, 500), (RegisterOutcome.TOO_MANY, 403)],
)
def test_the_daemon_refuses(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, outcome: RegisterOutcome, code: int
) -> None:
    daemon.answers[Register] = Registered(id=1, outcome=outcome)
    registrar.register(worker)
    assert kamailio.done == [code]


@pytest.mark.parametrize("answer", [None, Registered(id=1, outcome=RegisterOutcome.UNAVAILABLE)])
@pytest.mark.parametrize(("protocol", "done"), [("udp", []), ("tcp", [503])])
def test_too_few_replicas_or_no_answer(
    worker: Worker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    answer: Registered | None,
    protocol: str,
    done: list[int],
) -> None:
    daemon.answers[Register] = answer
    kamailio.message.protocol = protocol
    registrar.register(worker)
    assert kamailio.done == done


@pytest.mark.parametrize(
    ("fields", "code", "reply_field"),
    [
        ({"Contact": [f"<{PHONE}>;expires=59"]}, 423, "Min-Expires: 60\r\n"),
        ({"Contact": [f"<{PHONE}>"], "Expires": ["1"]}, 423, "Min-Expires: 60\r\n"),
        ({"Contact": ["*"]}, 400, None),
        ({"Contact": ["*"], "Expires": ["60"]}, 400, None),
        ({"Contact": ["*", f"<{PHONE}>"], "Expires": ["0"]}, 400, None),
        ({"Contact": ["<sip:"]}, 400, None),
        ({"Contact": ["<sip:alice@farm.test>"]}, 403, None),
        ({"Contact": [f"<{PHONE}>"], "Path": ["<sip:p;lr>"]}, 420, "Unsupported: path\r\n"),
        ({"Contact": [], "Path": ["<p>"], "Supported": ["path"]}, 400, None),
        (
            {"Contact": [f"<{PHONE}>"], "Require": ["path, gruu", "X"]},
            420,
            "Unsupported: gruu, x\r\n",
        ),
        ({"Contact": [f"{FLOW}, <sip:b@h>"], "Supported": ["outbound"]}, 400, None),
    ],
)
def test_refused_without_asking(
    worker: Worker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    fields: dict[str, list[str]],
    code: int,
    reply_field: str | None,
) -> None:
    kamailio.message.fields = fields
    registrar.register(worker)
    assert kamailio.done == [code]
    assert kamailio.reply_fields == ([reply_field] if reply_field else [])
    assert daemon.asked == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("request_uri", "sip:example.org", 403),
        ("to_uri", "sip:alice@example.org", 404),
        ("to_uri", "sip:farm.test", 404),
        ("to_uri", "sip:a%00b@farm.test", 404),
    ],
)
def test_only_for_this_farms_subscribers(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, name: str, value: str, code: int
) -> None:
    setattr(kamailio.message, name, value)
    registrar.register(worker)
    assert kamailio.done == [code]
    assert daemon.asked == []


def test_remove_all(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.message.fields = {"Contact": ["*"], "Expires": ["0"]}
    registrar.register(worker)
    assert _asked(daemon).remove_all


def test_a_question(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.message.fields = {}
    registrar.register(worker)
    assert _asked(daemon).contacts == ()
    assert kamailio.done == [200]


def test_a_path_is_kept_and_told(worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.message.source = ("198.51.100.1", 5060)
    kamailio.message.fields |= {
        "Path": ["<sip:p1.example.org;lr>,<sip:p2.example.org;lr>"],
        "Supported": ["gruu, path"],
    }
    registrar.register(worker)
    asked = _asked(daemon)
    assert asked.path == ("sip:p1.example.org;lr", "sip:p2.example.org;lr")
    assert asked.contacts[0].owner == ""
    assert "Path: <sip:p1.example.org;lr>, <sip:p2.example.org;lr>\r\n" in kamailio.reply_fields


def test_a_flow(make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    bound = Contact(uri=PHONE, expires_s=60, instance="<urn:uuid:1>", reg_id=2)
    daemon.answers[Register] = Registered(id=1, outcome=RegisterOutcome.DONE, bindings=(bound,))
    kamailio.message.fields = {"Contact": [FLOW], "Supported": ["path, Outbound"]}
    registrar.register(make_worker(proxy={"authenticate": False, "flow_timer_s": 25}))
    (change,) = _asked(daemon).contacts
    assert (change.instance, change.reg_id) == ("<urn:uuid:1>", 2)
    listed, *others, _date = kamailio.reply_fields
    assert listed == f'Contact: <{PHONE}>;expires=60;+sip.instance="<urn:uuid:1>";reg-id=2\r\n'
    assert others == ["Require: outbound\r\n", "Flow-Timer: 25\r\n"]


def test_a_reg_id_of_a_phone_that_does_not_know_flows(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.fields = {"Contact": [FLOW], "Supported": ["path"]}
    registrar.register(worker)
    (change,) = _asked(daemon).contacts
    assert (change.instance, change.reg_id) == ("<urn:uuid:1>", 0)
    assert "Require: outbound\r\n" not in kamailio.reply_fields


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ([], 439),
        (["<sip:p1;lr;ob>, <sip:edge;lr>"], 439),
        (["<sip:p1;lr>, <sip:edge;lr;ob>"], 200),
    ],
)
def test_a_flow_through_proxies_needs_a_first_hop_that_knows_flows(
    worker: Worker, kamailio: FakeKsr, path: list[str], code: int
) -> None:
    kamailio.message.vias = 2
    kamailio.message.fields = {
        "Contact": [FLOW],
        "Supported": ["path, outbound"],
        "Path": path,
    }
    registrar.register(worker)
    assert kamailio.done == [code]
    assert not any(each.startswith("Flow-Timer") for each in kamailio.reply_fields)


def test_the_subscribers_own_limit_goes_along(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = secrets_of("alice", Policy(contacts_max=2))
    answer_to(kamailio)
    registrar.register(make_worker(proxy={"authenticate": True}))
    asked = daemon.asked[-1]
    assert isinstance(asked, Register)
    assert asked.contacts_max == 2


def test_phones_are_told_of_a_service_route(make_worker: MakeWorker, kamailio: FakeKsr) -> None:
    route = ["sip:orig@farm.test;lr", "sip:p2.farm.test;lr"]
    registrar.register(make_worker(proxy={"authenticate": False, "service_route": route}))
    told = "Service-Route: <sip:orig@farm.test;lr>, <sip:p2.farm.test;lr>\r\n"
    assert told in kamailio.reply_fields


@pytest.mark.parametrize(
    ("contact_s", "header_s", "granted"),
    [
        (None, None, 3600),
        (None, 120, 120),
        (300, 120, 300),
        (0, 120, 0),
        (59, None, None),
        (60, None, 60),
        (86_400, None, 3600),
    ],
)
def test_how_long_a_binding_lasts(
    make_worker: MakeWorker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    contact_s: int | None,
    header_s: int | None,
    granted: int | None,
) -> None:
    said = "" if contact_s is None else f";expires={contact_s}"
    kamailio.message.fields = {"Contact": [f"<{PHONE}>{said}"]}
    if header_s is not None:
        kamailio.message.fields["Expires"] = [str(header_s)]
    registrar.register(make_worker(proxy={"authenticate": False, "expires_jitter": 0.0}))
    asked = [change.expires_s for each in daemon.asked for change in each.contacts]
    assert asked == ([] if granted is None else [granted])


def test_phones_that_came_together_come_back_apart(worker: Worker) -> None:
    granted = [registrar.spread_expires(worker.settings, 3600, f"call {n}") for n in range(2000)]
    assert (min(granted) >= 3240, max(granted) <= 3600) == (True, True)
    parts = Counter((each - 3240) // 90 for each in granted)
    assert all(parts[part] > 400 for part in range(4)), "evenly over the six minutes"
    assert registrar.spread_expires(worker.settings, 3600, "call 7") == granted[7]


def test_short_registrations_are_left_alone(make_worker: MakeWorker) -> None:
    settings = make_worker().settings
    assert {registrar.spread_expires(settings, 119, f"{n}") for n in range(99)} == {119}
    assert {registrar.spread_expires(settings, 0, f"{n}") for n in range(9)} == {0}
    exact = make_worker(proxy={"authenticate": False, "expires_jitter": 0.0}).settings
    assert {registrar.spread_expires(exact, 3600, f"{n}") for n in range(99)} == {3600}
