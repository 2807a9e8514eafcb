"""Digest: what is challenged, what passes, what is a retransmission."""

import pytest

from overlay.control.messages import Authenticate, Secrets
from proxy import counters
from proxy.routes import auth
from proxy.worker import Worker
from tests.unit.proxy.conftest import FakeDaemon
from tests.unit.proxy.fake_ksr import FakeKsr

ALICE = "alice@farm.test"
HA1 = "a" * 32


@pytest.fixture(autouse=True)
def _credentials(kamailio: FakeKsr, daemon: FakeDaemon) -> None:
    kamailio.message.credentials = True
    kamailio.message.fields["Authorization"] = ['Digest response="1"']
    daemon.answers[Authenticate] = Secrets(id=1, ha1=HA1, ha1_sha256="")


def test_without_credentials_there_is_a_challenge_and_no_question(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.message.credentials = False
    assert not auth.prove(worker, ALICE)
    assert kamailio.done == [("challenge", 1)]
    assert daemon.asked == []


def test_a_good_answer_passes(worker: Worker, kamailio: FakeKsr) -> None:
    assert auth.prove(worker, ALICE)
    assert kamailio.done == [("checked", HA1)]


def test_its_retransmission_passes_unchecked(worker: Worker, kamailio: FakeKsr) -> None:
    assert auth.prove(worker, ALICE)
    assert auth.prove(worker, ALICE)
    assert kamailio.done == [("checked", HA1)]


@pytest.mark.parametrize(
    "change",
    [
        {"source": ("192.0.2.66", 5060)},
        {"request_uri": "sip:premium@farm.test"},
        {"to_uri": "sip:other@farm.test"},
        {"method": "MESSAGE"},
        {"fields": {"Authorization": ['Digest response="1"'], "Via": ["other branch"]}},
    ],
)
def test_another_use_of_the_same_answer_is_checked(
    worker: Worker, kamailio: FakeKsr, change: dict[str, object]
) -> None:
    assert auth.prove(worker, ALICE)
    for name, value in change.items():
        setattr(kamailio.message, name, value)
    kamailio.auth_result = -6
    assert not auth.prove(worker, ALICE)
    assert kamailio.done[-1] == ("challenge", 17)
    assert kamailio.counts[counters.AUTH_STALE] == 1


def test_a_stale_nonce_says_so(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.auth_result = -4
    assert not auth.prove(worker, ALICE)
    assert kamailio.done[-1] == ("challenge", 17)


def test_known_and_unknown_users_are_answered_alike(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    kamailio.auth_result = -2
    assert not auth.prove(worker, ALICE)
    known, kamailio.done = kamailio.done, []
    daemon.answers[Authenticate] = Secrets(id=1, ha1="", ha1_sha256="")
    assert not auth.prove(worker, "ghost@farm.test")
    unknown = kamailio.done
    assert [action[0] for action in known] == [action[0] for action in unknown]
    assert known[-1] == unknown[-1] == ("challenge", 1)
    assert kamailio.counts[counters.AUTH_FAILURES] == 2


def test_nobody_gets_in_with_the_stand_in_secret(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = Secrets(id=1, ha1="", ha1_sha256="")
    assert not auth.prove(worker, "ghost@farm.test")


def test_credentials_of_another_user(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.auth_result = -8
    assert not auth.prove(worker, ALICE)
    assert kamailio.done[-1] == 403


def test_a_silent_daemon_is_not_a_wrong_password(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers.clear()
    assert not auth.prove(worker, ALICE)
    assert kamailio.done == []
