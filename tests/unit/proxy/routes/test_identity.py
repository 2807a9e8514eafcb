"""The sender of a request: which identities are believed, and to whom the farm asserts them."""

import pytest

from overlay.control.proxy_messages import Authenticate
from overlay.records.subscriber import Policy
from overlay.records.targets import Target
from proxy import counters
from proxy.routes import identity, request
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon, MakeWorker, answer_to, secrets_of
from tests.unit.proxy.fake_ksr import FakeKsr

GATEWAY = "203.0.113.5"
FORGED = ["<sip:chancellor@example.org>"]


@pytest.fixture
def strict(make_worker: MakeWorker, daemon: FakeDaemon) -> Worker:
    """A node that wants proof, and trusts a gateway."""
    daemon.answers[Authenticate] = secrets_of("alice", Policy(identities=("+49 30@farm.test",)))
    daemon.located(Target(uri="sip:bob@192.0.2.20:5060"))
    trusted = ["203.0.113.0/28", "gateway.example.net"]
    return make_worker(proxy={"authenticate": True, "trusted_peers": trusted})


def _asserted(kamailio: FakeKsr) -> list[str]:
    return [text for text in kamailio.inserted if text.startswith("P-Asserted-Identity")]


def _send(worker: Worker, kamailio: FakeKsr, **fields: list[str]) -> list[str]:
    kamailio.message.fields |= {name.replace("_", "-"): value for name, value in fields.items()}
    request.route(worker)
    assert kamailio.done[-1] == "forward"
    return _asserted(kamailio)


def test_a_subscriber_is_vouched_for(strict: Worker, kamailio: FakeKsr) -> None:
    answer_to(kamailio)
    told = _send(strict, kamailio, P_Asserted_Identity=FORGED)
    assert told == ["P-Asserted-Identity: <sip:alice@farm.test>\r\n"]
    assert "P-Asserted-Identity" not in kamailio.message.fields
    assert kamailio.counts[counters.IDENTITIES_REMOVED] == 1


@pytest.mark.parametrize(
    ("preferred", "told"),
    [
        ("Sales <sip:%2B49%2030@farm.test>", "sip:+49%2030@farm.test"),
        ("sip:alice@n1.farm.test;user=phone", "sip:alice@farm.test"),
        ("<sip:chancellor@farm.test>", "sip:alice@farm.test"),
        ("<sip:alice@example.org>", "sip:alice@farm.test"),
        ("<tel:+4930>", "sip:alice@farm.test"),
        ("<sip:farm.test>", "sip:alice@farm.test"),
    ],
)
def test_the_identity_that_is_wanted_if_it_is_his(
    strict: Worker, kamailio: FakeKsr, preferred: str, told: str
) -> None:
    answer_to(kamailio)
    found = _send(strict, kamailio, P_Preferred_Identity=[preferred])
    assert found == [f"P-Asserted-Identity: <{told}>\r\n"]
    assert "P-Preferred-Identity" not in kamailio.message.fields


def test_a_stranger_is_not_vouched_for(strict: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.from_uri = "sip:eve@example.org"
    assert _send(strict, kamailio, P_Asserted_Identity=FORGED) == []
    assert "P-Asserted-Identity" not in kamailio.message.fields


def test_a_trusted_peer_is_believed(strict: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.from_uri = "sip:+4930@example.org"
    kamailio.message.source = (GATEWAY, 5060)
    _send(strict, kamailio, P_Asserted_Identity=FORGED)
    assert kamailio.message.fields["P-Asserted-Identity"] == FORGED


@pytest.mark.parametrize("privacy", [["id"], ["header;id"], ["user", "ID ; critical"]])
def test_what_is_private_is_told_to_no_phone(
    strict: Worker, kamailio: FakeKsr, privacy: list[str]
) -> None:
    answer_to(kamailio)
    assert _send(strict, kamailio, Privacy=privacy) == []
    kamailio.message.from_uri = "sip:+4930@example.org"
    kamailio.message.request_uri = "sip:bob@farm.test"
    kamailio.message.source = (GATEWAY, 5060)
    _send(strict, kamailio, P_Asserted_Identity=FORGED)
    assert "P-Asserted-Identity" not in kamailio.message.fields


@pytest.mark.parametrize("host", [GATEWAY, "Gateway.example.net"])
def test_what_is_private_is_told_to_a_trusted_peer(
    strict: Worker, kamailio: FakeKsr, host: str
) -> None:
    kamailio.message.request_uri = f"sip:+4930@{host}"
    answer_to(kamailio)
    assert len(_send(strict, kamailio, Privacy=["id"])) == 1


def test_who_tells_no_name_proves_it_all_the_same(strict: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.from_uri = "sip:anonymous@anonymous.invalid"
    kamailio.message.fields["P-Preferred-Identity"] = ["<sip:alice@farm.test>"]
    request.route(strict)
    assert kamailio.done == [407]
    answer_to(kamailio)
    assert _send(strict, kamailio) == ["P-Asserted-Identity: <sip:alice@farm.test>\r\n"]


def test_an_anonymous_stranger_is_a_stranger(strict: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.from_uri = "sip:anonymous@anonymous.invalid"
    assert _send(strict, kamailio) == []


@pytest.mark.parametrize(("source", "stays"), [("192.0.2.10", False), (GATEWAY, True)])
def test_replies(strict: Worker, kamailio: FakeKsr, source: str, stays: bool) -> None:
    kamailio.message.source = (source, 5060)
    kamailio.message.fields["P-Asserted-Identity"] = FORGED
    identity.remove_untrusted(strict)
    assert ("P-Asserted-Identity" in kamailio.message.fields) is stays
