"""Digest: which requests are challenged, which pass, which are retransmissions."""

import time

import pytest

from overlay.control.proxy_messages import Authenticate, LoginFailed, Secrets
from overlay.records.subscriber import Policy
from proxy import counters, digest
from proxy.routes import auth
from proxy.worker import Worker
from tests.unit.proxy.conftest import KEY, FakeDaemon, MakeWorker, answer_to, secrets_of
from tests.unit.proxy.fake_ksr import FakeKsr

ALICE = "alice@farm.test"
NOBODY = Secrets(id=1, ha1="", ha1_sha256="")


@pytest.fixture(autouse=True)
def _alice(daemon: FakeDaemon) -> None:
    daemon.answers[Authenticate] = secrets_of("alice")


def _challenges(kamailio: FakeKsr) -> list[str]:
    found = [each for each in kamailio.reply_fields if "-Authenticate: Digest " in each]
    kamailio.reply_fields.clear()
    return found


@pytest.mark.parametrize(
    ("method", "code", "name"),
    [("REGISTER", 401, "WWW-Authenticate"), ("INVITE", 407, "Proxy-Authenticate")],
)
def test_without_credentials_there_is_a_challenge_for_each_algorithm_and_no_question(
    worker: Worker,
    kamailio: FakeKsr,
    daemon: FakeDaemon,
    method: str,
    code: int,
    name: str,
) -> None:
    kamailio.message.method = method
    assert auth.authenticate(worker, ALICE) is None
    assert kamailio.done == [code]
    first, second = _challenges(kamailio)
    assert first.startswith(f'{name}: Digest realm="farm.test", nonce="')
    assert ("algorithm=SHA-256" in first, "algorithm=MD5" in second) == (True, True)
    assert "stale" not in first + second
    assert daemon.asked == []


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_right_answer_passes(
    worker: Worker, kamailio: FakeKsr, algorithm: str, method: str
) -> None:
    kamailio.message.method = method
    answer_to(kamailio, algorithm=algorithm)
    assert auth.authenticate(worker, ALICE) == auth.AuthenticatedSubscriber(
        ALICE, Policy(), repeated=False
    )
    assert kamailio.done == []


def test_only_the_algorithms_of_the_configuration_pass(
    make_worker: MakeWorker, kamailio: FakeKsr
) -> None:
    worker = make_worker(proxy={"digest_algorithms": ["SHA-256"]})
    answer_to(kamailio, algorithm="MD5")
    assert auth.authenticate(worker, ALICE) is None
    assert len(_challenges(kamailio)) == 1


def test_its_retransmission_passes_as_such(worker: Worker, kamailio: FakeKsr) -> None:
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE)
    again = auth.authenticate(worker, ALICE)
    assert again is not None
    assert again.repeated


@pytest.mark.parametrize("changed", ["Contact", "body", "Via", "source"])
def test_what_differs_in_anything_is_no_retransmission(
    worker: Worker, kamailio: FakeKsr, changed: str
) -> None:
    """Who has seen an answer to a challenge gets no call to another place with it."""
    answer_to(kamailio)
    message = kamailio.message
    message.raw = message.as_bytes() + b"v=0"
    assert auth.authenticate(worker, ALICE)
    if changed == "source":
        message.source = ("192.0.2.66", 5060)
    else:
        before, after = {
            "Contact": (b"192.0.2.10:5060", b"192.0.2.66:5060"),
            "body": (b"v=0", b"v=1"),
            "Via": (b"z9hG4bK", b"z9hG4bKx"),
        }[changed]
        assert before in message.raw
        message.raw = message.raw.replace(before, after)
    assert auth.authenticate(worker, ALICE) is None
    assert kamailio.counts[counters.AUTH_STALE] == 1


def test_the_retransmission_of_what_was_forgotten_does_not(
    worker: Worker, kamailio: FakeKsr
) -> None:
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE)
    auth.forget(worker)
    assert auth.authenticate(worker, ALICE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"source": ("192.0.2.66", 5060)},
        {"request_uri": "sip:premium@farm.test"},
        {"to_uri": "sip:other@farm.test"},
        {"call_id": "another"},
    ],
)
def test_another_use_of_the_same_answer_is_stale(
    worker: Worker, kamailio: FakeKsr, change: dict[str, object]
) -> None:
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE)
    for name, value in change.items():
        setattr(kamailio.message, name, value)
    assert auth.authenticate(worker, ALICE) is None
    assert all("stale=true" in each for each in _challenges(kamailio))
    assert kamailio.counts[counters.AUTH_STALE] == 1


def test_a_nonce_counts_once_for_each_count(worker: Worker, kamailio: FakeKsr) -> None:
    nonce = digest.make_nonce(KEY, "n1", time.time(), bytes(8))
    for count in (1, 2):
        kamailio.message.cseq = count
        answer_to(kamailio, nonce=nonce, count=count)
        assert auth.authenticate(worker, ALICE)
    kamailio.message.cseq = 3
    assert auth.authenticate(worker, ALICE) is None


@pytest.mark.parametrize(
    "nonce",
    [
        digest.make_nonce(KEY, "n2", time.time(), bytes(8)),
        digest.make_nonce(KEY, "n1", time.time() - 2 * digest.NONCE_S, bytes(8)),
        "anything",
    ],
    ids=("another node's", "old", "none"),
)
def test_a_right_answer_to_another_nodes_or_an_old_nonce_is_stale(
    worker: Worker, kamailio: FakeKsr, nonce: str
) -> None:
    answer_to(kamailio, nonce=nonce)
    assert auth.authenticate(worker, ALICE) is None
    assert all("stale=true" in each for each in _challenges(kamailio))


def test_a_wrong_answer_to_an_old_nonce_is_wrong(worker: Worker, kamailio: FakeKsr) -> None:
    answer_to(kamailio, nonce="anything", password="guessed")
    assert auth.authenticate(worker, ALICE) is None
    assert not any("stale" in each for each in _challenges(kamailio))
    assert kamailio.counts[counters.AUTH_FAILURES] == 1


def test_known_and_unknown_users_are_answered_alike(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    def seen() -> tuple[object, ...]:
        answer_to(kamailio, password="guessed")
        kamailio.done.clear()
        assert auth.authenticate(worker, ALICE) is None
        parts = [each.partition("nonce=")[::2] for each in _challenges(kamailio)]
        return (*kamailio.done, *((before, len(after)) for before, after in parts))

    known = seen()
    daemon.answers[Authenticate] = NOBODY
    assert seen() == known
    assert kamailio.counts[counters.AUTH_FAILURES] == 2
    assert kamailio.counts[counters.AUTH_UNKNOWN] == 1


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_nobody_gets_in_with_the_stand_in_secret(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, algorithm: str
) -> None:
    daemon.answers[Authenticate] = NOBODY
    nonce = digest.make_nonce(KEY, "n1", time.time(), bytes(8))
    text = (
        f'Digest username="g", realm="farm.test", nonce="{nonce}", uri="u", algorithm={algorithm}'
    )
    found = digest.parse(f'{text}, response="?"')
    assert found is not None
    right = digest.response(found, "0123456789abcdef0123456789abcdef", "INVITE")
    kamailio.message.fields["Proxy-Authorization"] = [f'{text}, response="{right}"']
    assert auth.authenticate(worker, "g@farm.test") is None


def test_a_removed_subscriber_is_out_at_his_next_retransmission(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE)
    daemon.answers[Authenticate] = NOBODY
    assert auth.authenticate(worker, ALICE) is None


def test_in_the_name_of_another(worker: Worker, kamailio: FakeKsr) -> None:
    answer_to(kamailio)
    assert auth.authenticate(worker, "bob@farm.test") is None
    assert kamailio.done == [403]
    assert kamailio.counts == {counters.IDENTITIES_REFUSED: 1}


@pytest.mark.parametrize(("method", "passes"), [("INVITE", True), ("REGISTER", False)])
def test_in_the_name_of_an_identity_of_his_own(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon, method: str, passes: bool
) -> None:
    kamailio.message.method = method
    daemon.answers[Authenticate] = secrets_of("alice", Policy(identities=("sales@farm.test",)))
    answer_to(kamailio)
    assert bool(auth.authenticate(worker, "sales@farm.test")) is passes


def test_who_is_blocked_learns_it_with_the_right_password_only(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = secrets_of("alice", Policy(blocked=True))
    answer_to(kamailio, password="guessed")
    assert auth.authenticate(worker, ALICE) is None
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE) is None
    assert kamailio.done == [407, 403]
    assert kamailio.reply_fields[-1].startswith("Warning: 399 farm.test ")
    assert kamailio.counts[counters.POLICY_BLOCKED] == 1


def test_a_silent_daemon_is_not_a_wrong_password(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers.clear()
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE) is None
    assert kamailio.done == []


def test_a_wrong_password_is_reported_with_where_it_came_from(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    answer_to(kamailio, password="guessed")
    assert auth.authenticate(worker, ALICE) is None
    asked, reported = daemon.asked
    assert isinstance(asked, Authenticate)
    assert asked.address == "192.0.2.10"
    assert reported == LoginFailed(
        id=reported.id, deadline_ms=reported.deadline_ms, aor=ALICE, address="192.0.2.10"
    )


def test_who_is_locked_out_is_told_so_whatever_he_answers(
    worker: Worker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = Secrets(id=1, ha1="", ha1_sha256="", locked_s=77)
    answer_to(kamailio)
    assert auth.authenticate(worker, ALICE) is None
    assert kamailio.done == [403]
    assert "Retry-After: 77\r\n" in kamailio.reply_fields
    assert kamailio.counts[counters.LOCKED_OUT] == 1
    assert len(daemon.asked) == 1


def test_nobody_is_locked_out_for_what_a_trusted_proxy_sends_on(
    make_worker: MakeWorker, kamailio: FakeKsr, daemon: FakeDaemon
) -> None:
    daemon.answers[Authenticate] = secrets_of("alice")
    answer_to(kamailio, password="guessed")
    worker = make_worker(proxy={"authenticate": True, "trusted_peers": ["192.0.2.0/24"]})
    assert auth.authenticate(worker, ALICE) is None
    (asked,) = daemon.asked
    assert isinstance(asked, Authenticate)
    assert asked.address == ""
