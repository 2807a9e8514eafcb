"""The output and exit codes of `sipfarm cdr`."""

import json
from typing import Any

import msgspec
import pytest

from overlay.control.operator_messages import Calls, ListCalls, ShowCall
from overlay.records.billed import DESCRIPTION
from overlay.records.call_record import CallRecord

from .conftest import Cli, PlayedDaemon

CALL = CallRecord(
    call_id="c1@host",
    state="complete",
    caller="alice@farm.test",
    callee="bob@farm.test",
    request_uri="sip:bob@farm.test",
    from_tag="f",
    to_tag="t",
    answer_us=1_767_268_800_123_456,
    end_us=1_767_272_461_323_456,
    duration_ms=3_661_200,
    hangup="callee",
    code=200,
    nodes=("n2", "n3"),
    replicas=("n3", "n1"),
    levels=("quorum", "journal"),
    event_ids=("aa" * 20, "bb" * 20),
)
OPEN = msgspec.structs.replace(CALL, call_id="c2", state="open", end_us=0, duration_ms=0, hangup="")


def calls(*found: CallRecord, cursor: str = "", silent: tuple[str, ...] = ()) -> Calls:
    return Calls(id=0, calls=found, cursor=cursor, silent=silent)


def asked(played: PlayedDaemon) -> list[tuple[str, int]]:
    requests = [each for each in played.asked if isinstance(each, ListCalls)]
    assert len(requests) == len(played.asked)
    return [(each.cursor, each.limit) for each in requests]


def test_a_line_a_call(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls(CALL, OPEN))
    done = cli.run("cdr", "list")
    assert (done.code, done.err) == (0, "")
    header, first, second = done.out.splitlines()
    assert header.split() == (
        ["TIME", "STATE", "DURATION", "CALLER", "CALLEE", "HANGUP", "CODE", "CALL-ID"]
    )
    ends = ["alice@farm.test", "bob@farm.test"]
    time = "2026-01-01T12:00:00.123Z"
    assert first.split() == [time, "complete", "1:01:01.200", *ends, "callee", "200", "c1@host"]
    assert second.split() == [time, "open", "-", *ends, "-", "200", "c2"]


def test_filters_reach_the_daemon(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls())
    times = ("--since", "2026-01-01T12:00:00+02:00", "--until", "2026-01-02")
    cli.run("cdr", "list", "--subscriber", "alice", *times, "--limit", "7", "--cursor", "x")
    (request,) = played.asked
    assert request == ListCalls(
        id=1,
        deadline_ms=5000,
        cursor="x",
        limit=7,
        subscriber="alice@farm.test",
        since_us=1_767_261_600_000_000,
        until_us=1_767_312_000_000_000,
    )


def test_states_reach_the_daemon(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls(), calls())
    cli.run("cdr", "list", "--open", "--from", "2026-01-02")
    cli.run("cdr", "list", "--open", "--incomplete")
    first, second = (each for each in played.asked if isinstance(each, ListCalls))
    assert (first.states, first.since_us) == (("open",), 1_767_312_000_000_000)
    assert second.states == ("open", "closed", "orphan")


def test_an_age_is_a_time_before_now(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls(), calls())
    cli.run("cdr", "list", "--since", "2h", "--until", "1h")
    (request,) = played.asked
    assert isinstance(request, ListCalls)
    assert abs(request.until_us - request.since_us - 3_600_000_000) < 1_000_000


def test_a_page_ends_with_how_to_go_on(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls(CALL, OPEN, cursor="next"))
    done = cli.run("cdr", "list", "--limit", "2")
    assert (done.code, "--cursor next" in done.err) == (0, True)


def test_a_page_is_filled_though_the_daemon_filters_after_counting(
    cli: Cli, played: PlayedDaemon
) -> None:
    played.answer(calls(cursor="a"), calls(CALL, cursor="b"), calls(OPEN, CALL, cursor="c"))
    done = cli.run("cdr", "list", "--limit", "3", "--json")
    assert asked(played) == [("", 3), ("a", 3), ("b", 2)]
    shown = json.loads(done.out)
    assert (len(shown["calls"]), shown["cursor"], shown["silent"]) == (3, "c", [])


def test_all_is_a_page_a_line(cli: Cli, played: PlayedDaemon) -> None:
    pages = (calls(CALL, cursor="a"), calls(cursor="b"), calls(OPEN))
    played.answer(*pages, *pages)
    done = cli.run("cdr", "list", "--all", "--json")
    assert asked(played) == [("", 1000), ("a", 1000), ("b", 1000)]
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [[call["call_id"] for call in line["calls"]] for line in lines] == [
        ["c1@host"],
        [],
        ["c2"],
    ]
    shown = cli.run("cdr", "list", "--all")
    assert (shown.err, shown.out.count("\n")) == ("", 4)


def test_silent_nodes_make_it_incomplete(cli: Cli, played: PlayedDaemon) -> None:
    answer = calls(CALL, silent=("n2", "n3"))
    played.answer(answer, answer, answer, calls(silent=("n2",)))
    for argv in (("list",), ("list", "--json"), ("show", "c1")):
        done = cli.run("cdr", *argv)
        assert (done.code, done.err) == (4, "sipfarm: incomplete: no answer from n2, n3\n")
        assert done.out
    assert cli.run("cdr", "show", "c1").code == 4


def test_one_call_in_full(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls(CALL, OPEN), calls(CALL))
    done = cli.run("cdr", "show", "c1@host")
    assert played.asked == [ShowCall(id=1, deadline_ms=5000, call_id="c1@host")]
    first, second = done.out.split("\n\n")
    shown = dict(line.split("  ", 1) for line in first.splitlines())
    values: dict[str, Any] = {name: value.strip() for name, value in shown.items()}
    assert values["duration"] == "1:01:01.200"
    assert values["written by"] == "n2, n3"
    assert values["held by"] == "n1, n3"
    assert values["ended"] == "2026-01-01T13:01:01.323Z"
    assert "ended        -" in second
    told = json.loads(cli.run("cdr", "show", "c1@host", "--json").out)
    assert list(told) == ["calls", "cursor", "silent"]
    assert told["calls"][0]["duration_ms"] == 3_661_200
    assert told["calls"][0]["event_ids"] == ["aa" * 20, "bb" * 20]
    assert told["calls"][0]["nodes"] == ["n2", "n3"]


def test_every_description_of_a_call_is_shown(cli: Cli, played: PlayedDaemon) -> None:
    texts = {name: f"\x1b[2J{name}" for name in DESCRIPTION}
    played.answer(calls(msgspec.structs.replace(CALL, reason="Q.850", **texts)))
    lines = [line.split("  ", 1) for line in cli.run("cdr", "show", "c1").out.splitlines()]
    shown = {label: value.strip() for label, value in lines}
    for name, column in DESCRIPTION.items():
        assert shown[column.label] == f"\\x1b[2J{name}"
    first = [
        *("Call-ID", "state", "caller", "callee", "dialled", "sent on as", "subscriber"),
        *("identity", "from", "to", "tags", "answered", "ended", "duration", "hung up by", "cause"),
        *("reason", "trunk", "status code", "written by", "written to", "held by", "event ids"),
    ]
    assert [label for label in shown if label in first] == first


def test_no_such_call_is_1(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls(), calls())
    done = cli.run("cdr", "show", "c9")
    assert (done.code, done.out, done.err) == (1, "", "sipfarm: no record of the call c9\n")
    done = cli.run("cdr", "show", "c9", "--json")
    assert (done.code, json.loads(done.out)["calls"]) == (1, [])


def test_no_calls_at_all_is_an_answer(cli: Cli, played: PlayedDaemon) -> None:
    played.answer(calls())
    assert cli.run("cdr", "list").code == 0


@pytest.mark.parametrize("call_id", ["-m1urd7WPM8.KYUQj", "-J@host", "--", "c1"])
def test_a_call_id_may_begin_with_a_dash(cli: Cli, played: PlayedDaemon, call_id: str) -> None:
    played.answer(calls())
    words = ("--", "--") if call_id == "--" else (call_id,)
    assert cli.run("cdr", "show", "--json", *words).code in (0, 1)
    assert [request.call_id for request in played.asked] == [call_id]  # type: ignore[union-attr]
