"""The index of calls by the subscribers that have a part in them."""

from contextlib import closing
from pathlib import Path

import apsw

from overlay.records import call
from overlay.records.call import CallEvent, EventKind
from overlay.records.names import RecordKind, key_of
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import EventRow, PastCalls

ALICE = "alice@farm.test"


def row(kind: EventKind, call_id: str, time_us: int, caller: str, callee: str) -> EventRow:
    event = CallEvent(
        kind=kind,
        event_id=call.event_id(kind, call_id, "a", "b", str(time_us)),
        call_id=call_id,
        from_tag="a",
        to_tag="b",
        time_us=time_us,
        from_uri=caller,
        to_uri=callee,
    )
    return EventRow(
        call_key=key_of(RecordKind.CALL, call_id),
        event_id=event.event_id,
        time_us=time_us,
        body=call.encode(event),
    )


def calls(database: RecordsDatabase, aor: str, limit: int = 9, after: int = 0) -> list[int]:
    """Times of the calls on a page."""
    found, _ = database.calls_after((after, b"\xff" * 20), 2**62, limit, aor=aor)
    return [time_us for time_us, _, _ in found]


def fill(database: RecordsDatabase) -> None:
    database.commit(
        [
            row(EventKind.START, "one", 10, "sip:alice@Farm.Test:5061", "sip:bob@farm.test"),
            row(EventKind.INTERIM, "one", 15, "sip:alice@farm.test", "sip:bob@farm.test"),
            row(EventKind.STOP, "one", 20, "sip:bob@farm.test", "sip:alice@farm.test"),
            row(EventKind.ATTEMPT, "two", 30, "sip:eve@farm.test", "sip:alice@farm.test"),
            row(EventKind.START, "three", 40, "sip:eve@farm.test", "sip:eve@farm.test"),
            row(EventKind.STOP, "lost", 50, "sip:alice@farm.test", "sip:x@farm.test"),
        ]
    )


def test_calls_of_a_subscriber_in_order() -> None:
    with closing(RecordsDatabase(None)) as database:
        fill(database)
        assert calls(database, ALICE) == [10, 30, 50]
        assert calls(database, ALICE, after=10) == [30, 50]
        assert database.calls_after((0, b""), 2**62, 2, aor=ALICE)[1]
        assert calls(database, "eve@farm.test") == [30, 40]
        assert calls(database, "nobody@farm.test") == []


def test_the_end_of_a_call_is_indexed_for_whom_its_beginning_is_not() -> None:
    with closing(RecordsDatabase(None)) as database:
        fill(database)
        database.commit(
            [
                row(EventKind.STOP, "three", 60, "sip:eve@farm.test", "sip:late@farm.test"),
                row(EventKind.START, "lost", 45, "sip:alice@farm.test", "sip:x@farm.test"),
            ]
        )
        assert calls(database, "eve@farm.test") == [30, 40]
        assert calls(database, "late@farm.test") == [60]
        assert calls(database, ALICE) == [10, 30, 45], "what comes late is found at its time"


def test_a_call_that_ended_before_it_began_is_found_at_its_end() -> None:
    """By the clocks of two nodes."""
    with closing(RecordsDatabase(None)) as database:
        database.commit(
            [
                row(EventKind.START, "short", 12, "sip:alice@farm.test", "sip:bob@farm.test"),
                row(EventKind.STOP, "short", 10, "sip:alice@farm.test", "sip:bob@farm.test"),
            ]
        )
        assert calls(database, ALICE) == [10]


def test_an_older_file_gets_the_index(tmp_path: Path) -> None:
    with closing(RecordsDatabase(tmp_path)) as database:
        fill(database)
    with closing(apsw.Connection(str(tmp_path / "records.db"))) as connection:
        connection.execute("DROP TABLE parties")
    with closing(RecordsDatabase(tmp_path)) as database:
        assert calls(database, ALICE) == [10, 30, 50]


def test_deleted_calls_leave_the_index(tmp_path: Path) -> None:
    with closing(RecordsDatabase(tmp_path)) as database:
        fill(database)
        keys = tuple(key_of(RecordKind.CALL, each) for each in ("one", "two", "three", "lost"))
        database.commit([PastCalls(keys=keys, before_us=45)])
        assert calls(database, ALICE) == [50]
    with closing(apsw.Connection(str(tmp_path / "records.db"))) as connection:
        (count,) = next(connection.execute("SELECT count(*) FROM parties"))
        assert count == 2, "those of the call that is not past"
