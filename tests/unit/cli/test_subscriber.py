"""`sipfarm subscriber` takes passwords, and sends digest secrets alone."""

import io
import json
import time
from hashlib import md5, sha256
from pathlib import Path

import msgspec
import pytest

from overlay.control.control_protocol import ControlAnswer, ControlRequest, Done, Refused
from overlay.control.operator_messages import (
    GetSubscriber,
    ListSubscribers,
    PutSubscriber,
    SubscriberInForce,
    Subscribers,
)
from overlay.control.proxy_messages import Register, Registered
from overlay.identity import operator
from overlay.records.register import RegisterOutcome
from overlay.records.subscriber import PURPOSE, Policy, Subscriber, signed_part, with_password

from .conftest import Cli, PlayedDaemon

DONE = Done(id=0)
NEW = SubscriberInForce(id=0)
FUTURE = 1 << 62


@pytest.fixture(autouse=True)
def key(cli: Cli) -> operator.OperatorKey:
    """The operator's key, where the command looks for it."""
    key = operator.generate()
    key.save(cli.directory / "identity")
    return key


def stored(played: PlayedDaemon) -> list[Subscriber]:
    """What was stored, but for what differs each time."""
    records = [each.record for each in played.asked if isinstance(each, PutSubscriber)]
    return [msgspec.structs.replace(each, version=0, signature=b"") for each in records]


def willing(request: ControlRequest) -> ControlAnswer:
    """A daemon that knows no subscriber and takes every one."""
    return NEW if isinstance(request, GetSubscriber) else DONE


def test_what_is_sent_proves_the_password_and_is_not_it(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(NEW, DONE)
    done = cli.run("subscriber", "add", "alice", "--password", "wonderland")
    assert (done.code, done.out, done.err) == (0, "added alice@farm.test\n", "")
    secret = b"alice:farm.test:wonderland"
    assert stored(played) == [
        Subscriber(
            aor="alice@farm.test",
            version=0,
            ha1=md5(secret).hexdigest(),
            ha1_sha256=sha256(secret).hexdigest(),
        )
    ]


@pytest.mark.parametrize("before", [0, FUTURE])
def test_the_operator_signs_the_version_after_the_one_in_force(
    cli: Cli, played: PlayedDaemon, key: operator.OperatorKey, before: int
) -> None:
    now_ms = time.time_ns() // 1_000_000
    played.answer(SubscriberInForce(id=0, version=before), DONE)
    assert cli.run("subscriber", "add", "alice", "--password", "x").code == 0
    (put,) = (each for each in played.asked if isinstance(each, PutSubscriber))
    assert put.record.version == before + 1 if before else put.record.version >> 16 >= now_ms
    assert key.public.has_signed(PURPOSE, signed_part(put.record), put.record.signature)


def test_without_the_operators_key_nothing_is_asked(
    cli: Cli, played: PlayedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity" / "operator.key"
    elsewhere = path.rename(tmp_path / "my.key")
    add = ("subscriber", "add", "alice", "--password", "x")
    done = cli.run(*add)
    assert (done.code, "operator.key: is missing" in done.err) == (2, True)
    assert cli.run("subscriber", "remove", "alice").code == 2
    assert played.asked == []
    played.script = willing
    assert cli.run(*add, "--operator-key", str(elsewhere)).code == 0
    monkeypatch.setenv("SIPFARM_OPERATOR_KEY", str(elsewhere))
    assert cli.run(*add).code == 0


def test_what_an_earlier_removal_left_can_be_removed(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(
        SubscriberInForce(id=0, version=7, removed=True),
        Registered(id=0, outcome=RegisterOutcome.DONE),
    )
    assert cli.run("subscriber", "remove", "alice").code == 0
    assert stored(played) == []


def test_json_lists_who_was_added(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(NEW, DONE)
    done = cli.run("subscriber", "add", "alice", "--password", "x", "--json")
    assert json.loads(done.out) == {"added": ["alice@farm.test"]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_password_can_come_from_a_file_stdin_or_a_prompt(
    cli: Cli, played: PlayedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.script = willing
    (tmp_path / "password").write_text("wonder land\nsecond line\n")
    assert (
        cli.run("subscriber", "add", "a", "--password-file", str(tmp_path / "password")).code == 0
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("wonder land\r\n"))
    assert cli.run("subscriber", "add", "a").code == 0
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: "wonder land")
    assert cli.run("subscriber", "add", "a").code == 0
    assert stored(played) == [with_password("a@farm.test", "wonder land", 0)] * 3


def test_two_different_answers_to_the_prompt_change_nothing(
    cli: Cli, played: PlayedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["one", "two"]
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    assert cli.run("subscriber", "add", "alice").code == 2
    assert played.asked == []


@pytest.mark.parametrize("password", ["", "a\x00b", "a\tb", "x" * 257])
def test_passwords_that_no_phone_can_have_are_refused(
    cli: Cli, played: PlayedDaemon, password: str
) -> None:
    assert cli.run("subscriber", "add", "alice", "--password", password).code == 2
    assert played.asked == []


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("alice", "--file", "x.csv"),
        ("alice", "--password-file", "/nowhere"),
        ("--file", "/nowhere"),
        ("alice@other.test", "--password", "x"),
    ],
)
def test_wrong_uses_are_2_and_change_nothing(
    cli: Cli, played: PlayedDaemon, argv: tuple[str, ...]
) -> None:
    assert cli.run("subscriber", "add", *argv).code == 2
    assert played.asked == []


def test_a_table_of_users(cli: Cli, played: PlayedDaemon, tmp_path: Path) -> None:
    table = tmp_path / "users.csv"
    table.write_text('alice,one\n\nbob@farm.test,"two, three"\n')
    played.script = willing
    done = cli.run("subscriber", "add", "--file", str(table))
    assert (done.code, done.out) == (0, "added 2 subscribers\n")
    assert stored(played) == [
        with_password("alice@farm.test", "one", 0),
        with_password("bob@farm.test", "two, three", 0),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("alice\n", ":1: must be user,password"),
        ("alice,x\nbob,y,z\n", ":2: must be user,password"),
        ("alice,x\n ,y\n", ":2: must be user,password"),
        ("alice,\n", ":1: an empty password"),
        ("alice,x\nalice,y\n", ":2: alice was there before"),
        ('alice,"x\n', "cannot be read"),
    ],
)
def test_a_broken_table_changes_nothing(
    cli: Cli, played: PlayedDaemon, tmp_path: Path, text: str, complaint: str
) -> None:
    table = tmp_path / "users.csv"
    table.write_text(text)
    done = cli.run("subscriber", "add", "--file", str(table))
    assert (done.code, complaint in done.err) == (2, True)
    assert played.asked == []


def test_a_table_that_stops_half_way_says_so(
    cli: Cli, played: PlayedDaemon, tmp_path: Path
) -> None:
    table = tmp_path / "users.csv"
    table.write_text("alice,x\nbob,y\ncarol,z\n")
    played.answer(NEW, DONE, NEW, Refused(id=0, code="unavailable", reason="no quorum"))
    done = cli.run("subscriber", "add", "--file", str(table))
    assert (done.code, done.out) == (4, "")
    assert "1 of 3 were added" in done.err
    assert "no quorum" in done.err


def test_a_new_password_leaves_the_policy(cli: Cli, played: PlayedDaemon) -> None:
    policy = Policy(contacts_max=2)
    record = msgspec.structs.replace(with_password("alice@farm.test", "x", 7), policy=policy)
    played.answer(SubscriberInForce(id=0, version=7, record=record), DONE)
    assert cli.run("subscriber", "add", "alice", "--password", "y").code == 0
    (put,) = stored(played)
    assert put == msgspec.structs.replace(with_password("alice@farm.test", "y", 0), policy=policy)


def test_names_are_listed(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(
        Subscribers(id=0, aors=("a@farm.test", "b\x1b@farm.test"), cursor="b"),
        Subscribers(id=0, aors=("c@farm.test",)),
        Subscribers(id=0, aors=("a@farm.test",), silent=("n2",)),
        Subscribers(id=0, aors=("a@farm.test",), cursor="a"),
        Subscribers(id=0, aors=("b@farm.test",)),
    )
    done = cli.run("subscriber", "list", "--limit", "2")
    assert (done.code, done.out) == (0, "a@farm.test\nb\\x1b@farm.test\n")
    assert "--cursor b" in done.err
    assert cli.run("subscriber", "list", "--cursor", "b").out == "c@farm.test\n"
    done = cli.run("subscriber", "list", "--json")
    assert done.code == 4
    assert json.loads(done.out) == {"aors": ["a@farm.test"], "cursor": "", "silent": ["n2"]}
    assert cli.run("subscriber", "list", "--all").out == "a@farm.test\nb@farm.test\n"
    requests = [each for each in played.asked if isinstance(each, ListSubscribers)]
    assert [(each.cursor, each.limit) for each in requests] == [
        ("", 2),
        ("b", 100),
        ("", 100),
        ("", 1000),
        ("a", 1000),
    ]


def test_who_is_removed_is_no_longer_reached(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(
        SubscriberInForce(id=0, version=1),
        DONE,
        Registered(id=0, outcome=RegisterOutcome.DONE),
    )
    done = cli.run("subscriber", "remove", "alice", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"removed": ["alice@farm.test"]})
    asked, put, register = played.asked
    assert isinstance(asked, GetSubscriber)
    assert isinstance(put, PutSubscriber)
    assert stored(played) == [Subscriber(aor="alice@farm.test", version=0, removed=True)]
    assert isinstance(register, Register)
    assert (register.aor, register.remove_all) == ("alice@farm.test", True)


def test_removing_who_is_not_there_is_1(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(NEW)
    done = cli.run("subscriber", "remove", "alice")
    assert (done.code, done.out) == (1, "")
    assert len(played.asked) == 1


def test_bindings_that_stay_are_told(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(
        SubscriberInForce(id=0, version=1),
        DONE,
        Registered(id=0, outcome=RegisterOutcome.UNAVAILABLE),
    )
    done = cli.run("subscriber", "remove", "alice")
    assert (done.code, done.out) == (3, "")
    assert "its bindings stay until they expire" in done.err
