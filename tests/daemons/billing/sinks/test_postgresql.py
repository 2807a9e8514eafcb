"""Billing records reach a real PostgreSQL."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlay.billing.columns import COLUMNS, BilledRow
from overlay.billing.sinks.postgresql import PostgresqlSink
from overlay.billing.sinks.sink import SinkError
from overlay.records.billed import FREE
from overlay.records.call import CallEvent
from tests.postgresql import Cluster
from tests.unit.billing.sinks.rows import EVENTS, hostile_rows, row, rows_of


def test_rows_come_once_however_often_they_are_sent(database: Cluster) -> None:
    async def story() -> None:
        one, two = (PostgresqlSink(database.address, "cdr") for _ in range(2))
        await asyncio.gather(one.take([row(1), row(2)]), two.take([row(2), row(3)]))
        await one.take([row(1), row(1, revision=3, caller="sip:carol@farm.test")])
        await two.take([row(1, revision=2)])
        await one.close()
        await two.close()

    asyncio.run(story())
    assert database.ask("SELECT count(*) FROM cdr") == "3"
    assert database.ask("SELECT revision, caller FROM cdr WHERE callid = 'call-1'") == (
        "3|sip:carol@farm.test"
    )
    assert database.ask(
        "SELECT extract(epoch FROM end_time - start_time), duration FROM cdr LIMIT 1"
    ) == ("61.000000|61.000")


def test_a_database_that_was_away_is_found_again(database: Cluster) -> None:
    async def story() -> None:
        sink = PostgresqlSink(database.address, "cdr")
        await sink.take([row(1)])
        database.stop()
        with pytest.raises(SinkError):
            await sink.take([row(2)])
        database.start()
        await sink.take([row(2)])
        await sink.close()

    asyncio.run(story())
    assert database.ask("SELECT count(*) FROM cdr") == "2"


def test_a_table_of_an_earlier_version_gets_what_it_lacks(database: Cluster) -> None:
    async def story() -> None:
        sink = PostgresqlSink(database.address, "billing.calls")
        await sink.take([row(1)])
        await sink.close()

    database.ask("CREATE SCHEMA billing")
    asyncio.run(story())
    database.ask("ALTER TABLE billing.calls DROP COLUMN hangup")
    asyncio.run(story())
    assert database.ask("SELECT hangup FROM billing.calls") == "caller"


def test_hostile_text_is_only_text(database: Cluster) -> None:
    hostile = "'); DROP TABLE cdr; --"

    async def story() -> None:
        sink = PostgresqlSink(database.address, "cdr")
        await sink.take([row(1, caller=hostile)])
        await sink.close()

    asyncio.run(story())
    assert database.ask("SELECT caller FROM cdr") == hostile


# No deadline: each example asks a real server, by processes of psql.
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_no_event_keeps_the_others_out(database: Cluster, events: list[CallEvent]) -> None:
    """A row that a database refuses would be tried for ever, and all others with it."""
    rows = rows_of(events)

    async def story() -> None:
        sink = PostgresqlSink(database.address, "hostile")
        await sink.take([*rows, row(1)])
        await sink.close()

    asyncio.run(story())
    for each in (*rows, row(1)):
        assert database.ask(f"SELECT count(*) FROM hostile WHERE id = '{each.id}'") == "1"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(hostile_rows())
def test_a_database_gives_back_the_texts_of_a_call(database: Cluster, hostile: BilledRow) -> None:
    async def story() -> None:
        sink = PostgresqlSink(database.address, "texts")
        await sink.take([hostile])
        await sink.close()

    asyncio.run(story())
    held = json.loads(
        database.ask(f"SELECT row_to_json(texts) FROM texts WHERE id = '{hostile.id}'")
    )
    assert list(held) == list(COLUMNS)
    for name, column in COLUMNS.items():
        if column.kind in FREE:
            assert held[name] == getattr(hostile, name)


def test_nobody_there() -> None:
    async def story() -> None:
        sink = PostgresqlSink("host=/nonexistent user=nobody password=secret", "cdr")
        with pytest.raises(SinkError) as caught:
            await sink.take([row(1)])
        assert "secret" not in str(caught.value)

    asyncio.run(story())
