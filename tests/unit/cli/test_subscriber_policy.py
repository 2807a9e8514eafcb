"""The output and exit codes of `sipfarm subscriber show|set|block|unblock`."""

import json

import msgspec
import pytest

from overlay.control.control_protocol import ControlAnswer, ControlRequest, Done
from overlay.control.operator_messages import GetSubscriber, PutSubscriber, SubscriberInForce
from overlay.control.proxy_messages import Register, Registered
from overlay.identity import operator
from overlay.records.register import RegisterOutcome
from overlay.records.subscriber import PURPOSE, Policy, Subscriber, signed_part, with_password

from .conftest import Cli, PlayedDaemon

ALICE = with_password("alice@farm.test", "wonderland", 7)


@pytest.fixture(autouse=True)
def key(cli: Cli) -> operator.OperatorKey:
    """The operator's key, where the command looks for it."""
    key = operator.generate()
    key.save(cli.directory / "identity")
    return key


def play(played: PlayedDaemon, record: Subscriber | None, *, safe: bool = True) -> None:
    """A daemon that has this record and takes another."""

    def answer(request: ControlRequest) -> ControlAnswer:
        if isinstance(request, GetSubscriber):
            return SubscriberInForce(id=0, version=7 if record else 0, record=record)
        if isinstance(request, Register):
            outcome = RegisterOutcome.DONE if safe else RegisterOutcome.UNAVAILABLE
            return Registered(id=0, outcome=outcome)
        return Done(id=0)

    played.script = answer


def put(played: PlayedDaemon) -> Subscriber:
    (found,) = (each.record for each in played.asked if isinstance(each, PutSubscriber))
    return found


def test_what_is_set_is_signed_and_the_rest_stays(
    cli: Cli, played: PlayedDaemon, key: operator.OperatorKey
) -> None:
    play(played, msgspec.structs.replace(ALICE, policy=Policy(calls_per_second_max=3)))
    done = cli.run(
        *("subscriber", "set", "alice", "--contacts-max", "2", "--destinations", "+49, 0,"),
        *("--identities", "sales,sip:office@farm.test", "--calls-max", "4", "--json"),
    )
    assert done.code == 0, done.err
    record = put(played)
    assert record.policy == Policy(
        contacts_max=2,
        calls_per_second_max=3,
        destinations=("+49", "0"),
        identities=("sales@farm.test", "office@farm.test"),
        calls_max=4,
    )
    assert (record.ha1, record.ha1_sha256) == (ALICE.ha1, ALICE.ha1_sha256)
    assert record.version > 7
    assert key.public.has_signed(PURPOSE, signed_part(record), record.signature)
    altered = msgspec.structs.replace(record, policy=Policy())
    assert not key.public.has_signed(PURPOSE, signed_part(altered), record.signature)
    assert json.loads(done.out) == {
        "aor": "alice@farm.test",
        "blocked": False,
        "contacts_max": 2,
        "calls_per_second_max": 3,
        "destinations": ["+49", "0"],
        "identities": ["sales@farm.test", "office@farm.test"],
        "calls_max": 4,
    }


def test_an_empty_list_undoes(cli: Cli, played: PlayedDaemon) -> None:
    play(played, msgspec.structs.replace(ALICE, policy=Policy(destinations=("+49",))))
    assert cli.run("subscriber", "set", "alice", "--destinations", "").code == 0
    assert put(played).policy == Policy()


def test_what_is_so_already_is_not_written(cli: Cli, played: PlayedDaemon) -> None:
    play(played, ALICE)
    assert cli.run("subscriber", "unblock", "alice").code == 0
    assert not any(isinstance(each, PutSubscriber) for each in played.asked)


def test_who_is_blocked_is_not_reached_either(cli: Cli, played: PlayedDaemon) -> None:
    play(played, ALICE)
    done = cli.run("subscriber", "block", "alice")
    assert (done.code, "blocked               yes" in done.out) == (0, True)
    assert put(played).policy.blocked
    (removal,) = (each for each in played.asked if isinstance(each, Register))
    assert removal.remove_all


def test_bindings_that_stay_are_told(cli: Cli, played: PlayedDaemon) -> None:
    play(played, ALICE, safe=False)
    done = cli.run("subscriber", "block", "alice")
    assert (done.code, "block it again" in done.err) == (3, True)


def test_show_tells_no_secret(cli: Cli, played: PlayedDaemon) -> None:
    play(played, ALICE)
    done = cli.run("subscriber", "show", "alice")
    assert done.code == 0
    assert "destinations          everywhere" in done.out
    assert "calls_max             no limit" in done.out
    assert ALICE.ha1 not in done.out
    assert ALICE.ha1 not in cli.run("subscriber", "show", "alice", "--json").out


@pytest.mark.parametrize("verb", [("show",), ("set", "--contacts-max", "1"), ("block",)])
def test_who_is_not_there_is_1(cli: Cli, played: PlayedDaemon, verb: tuple[str, ...]) -> None:
    play(played, None)
    assert cli.run("subscriber", verb[0], "ghost", *verb[1:]).code == 1


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--contacts-max", "-1"),
        ("--contacts-max", "1000"),
        ("--calls-per-second-max", "x"),
        ("--calls-max", "5001"),
        ("--destinations", ",".join(map(str, range(65)))),
        ("--identities", "bob@elsewhere.test"),
    ],
)
def test_wrong_uses_are_2_and_change_nothing(
    cli: Cli, played: PlayedDaemon, options: tuple[str, ...]
) -> None:
    assert cli.run("subscriber", "set", "alice", *options).code == 2
    assert played.asked == []
