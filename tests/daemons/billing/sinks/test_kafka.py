"""Billing records reach a topic though its brokers come, go and refuse (`tests/kafka.py`:
librdkafka's mock brokers over TCP, no Apache Kafka).
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
import uvloop
from hypothesis import given

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.billing.columns import COLUMNS, TEXT_BYTES_MAX, BilledRow
from overlay.billing.sinks import kafka
from overlay.billing.sinks.kafka import CUT_BYTES_MAX, CUT_TEXT_CHARS, KafkaSink, cut
from overlay.billing.sinks.sink import SinkError
from overlay.config.sections import KafkaSection
from overlay.identity import ca, files
from overlay.records.billed import FREE, Kind
from tests.daemons.farm_of_nodes import FARM, Farm, play
from tests.kafka import (
    MESSAGE_TOO_LARGE,
    NOT_LEADER,
    TOPIC,
    TOPIC_AUTHORIZATION_FAILED,
    Cluster,
)
from tests.proxy_requests import start_event, stop_event
from tests.unit.billing.sinks.rows import hostile_rows, row
from tests.waiting import until


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Brokers, until the end of the test."""
    cluster = Cluster()
    yield cluster
    cluster.close()


def sink_of(cluster: Cluster) -> KafkaSink:
    return KafkaSink(KafkaSection(brokers=(cluster.address,), topic=TOPIC))


def taken(cluster: Cluster, *batches: Sequence[BilledRow]) -> None:
    """What the daemon's loop does."""

    async def story() -> None:
        sink = sink_of(cluster)
        for batch in batches:
            await sink.take(batch)
        await sink.close()

    uvloop.run(story())


def nothing_runs() -> bool:
    """Besides the test."""
    return asyncio.all_tasks() == {asyncio.current_task()}


def test_each_row_is_a_message_with_its_id_for_a_key(cluster: Cluster) -> None:
    rows = [row(number) for number in range(300)]
    taken(cluster, rows[:200], rows[200:], [row(7, revision=3)])
    found = cluster.messages(301)
    assert Counter(each.key for each in found) == Counter([*(each.id for each in rows), rows[7].id])
    assert len({each.partition for each in found}) > 1
    again = [each for each in found if each.key == rows[7].id]
    # Revisions of one record stay in order.
    assert [each.value["revision"] for each in again] == [2, 3]
    values = {each.key: each.value for each in found if each.value["revision"] == 2}
    assert values == {each.id: msgspec.to_builtins(each) for each in rows}
    assert not any(each.headers for each in found)


def test_brokers_that_are_away_and_come_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        sink = sink_of(cluster)
        await sink.take([row(1)])
        cluster.go()
        # A broker that restarts is waited for.
        taking = asyncio.create_task(sink.take([row(2)]))
        await asyncio.sleep(0)
        cluster.come_back()
        await taking
        cluster.go()
        monkeypatch.setattr(kafka, "TAKE_TIMEOUT_S", 0.5)
        with pytest.raises(SinkError):
            await sink.take([row(3)])
        # There is nothing left to be waited for, nor to be told to brokers that nobody reaches.
        with pytest.raises(SinkError):
            await sink.take([row(3)])
        async with asyncio.timeout(5):
            await sink.close()
        await until(nothing_runs, what="the producer's tasks have ended")
        cluster.come_back()
        monkeypatch.undo()
        await sink.take([row(3)])
        await sink.close()

    uvloop.run(story())
    assert sorted(each.key for each in cluster.messages(3)) == [row(n).id for n in (1, 2, 3)]


def test_brokers_that_listen_and_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "TAKE_TIMEOUT_S", 0.2)

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            address = f"127.0.0.1:{mute.getsockname()[1]}"
            sink = KafkaSink(KafkaSection(brokers=(address,), topic=TOPIC))
            with pytest.raises(SinkError, match=r"no answer within 0\.2 s"):
                await sink.take([row(1)])
            await sink.close()
        await until(nothing_runs, what="the producer's tasks have ended")

    uvloop.run(story())


def test_a_broker_that_has_handed_over_is_asked_for_its_heir(cluster: Cluster) -> None:
    cluster.refuse(NOT_LEADER)
    taken(cluster, [row(1)])
    assert [each.key for each in cluster.messages(1)] == [row(1).id]


def test_what_the_topic_may_not_have_is_said(cluster: Cluster) -> None:
    async def story() -> None:
        sink = sink_of(cluster)
        cluster.refuse(TOPIC_AUTHORIZATION_FAILED)
        with pytest.raises(SinkError, match="TopicAuthorizationFailed"):
            await sink.take([row(1)])
        await sink.take([row(1), row(2)])
        await sink.close()

    uvloop.run(story())
    assert sorted(each.key for each in cluster.messages(2)) == [row(1).id, row(2).id]


def test_a_batch_that_is_too_large_is_sent_row_by_row(cluster: Cluster) -> None:
    cluster.refuse(MESSAGE_TOO_LARGE)
    rows = [row(number) for number in range(20)]
    taken(cluster, rows)
    found = cluster.messages(20)
    assert {each.key for each in found} == {each.id for each in rows}
    assert len(found) == 20
    assert not any(each.headers for each in found)


def test_a_row_that_is_too_large_is_cut_and_keeps_no_other_in(cluster: Cluster) -> None:
    # The producer's own limit; then a broker's, which refuses it in its batch and by itself.
    endless = msgspec.structs.replace(row(1), event_ids="ab " * 500_000, caller="x" * 2_000)
    taken(cluster, [row(0), endless, row(2)])
    cluster.refuse(MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE)
    taken(cluster, [row(3)], [row(4)])
    found = {each.key: each for each in cluster.messages(5)}
    assert sorted(found) == [row(number).id for number in range(5)]
    for number in (1, 3):
        assert found[row(number).id].headers == (("cut", b"1"),)
    assert found[endless.id].value == msgspec.to_builtins(cut(endless))
    kept = ("id", "revision", "state", "callid", "start_time", "end_time", "duration", "sip_code")
    assert all(getattr(cut(endless), name) == getattr(endless, name) for name in kept)
    assert not any(found[row(number).id].headers for number in (0, 2, 4))


@given(hostile_rows())
def test_whatever_a_call_says_its_cut_row_is_below_the_bound(hostile: BilledRow) -> None:
    short = cut(hostile)
    assert len(msgspec.json.encode(short)) < CUT_BYTES_MAX == 10 << 10
    for name, column in COLUMNS.items():
        whole = column.kind not in FREE and name != "event_ids"
        assert not whole or getattr(short, name) == getattr(hostile, name)


def test_a_row_whose_dialog_has_names_as_long_as_a_proxy_takes_keeps_them() -> None:
    named = msgspec.structs.replace(
        row(1),
        **{
            name: "x" * (HEADER_CHARS_MAX if column.kind is Kind.NAME else TEXT_BYTES_MAX)
            for name, column in COLUMNS.items()
            if column.kind in FREE
        },
    )
    short = cut(named)
    for name, column in COLUMNS.items():
        if column.kind is Kind.NAME:
            assert getattr(short, name) == getattr(named, name)
        elif column.kind is Kind.TEXT:
            assert getattr(short, name) == "x" * CUT_TEXT_CHARS


def test_a_broker_that_takes_nothing_at_all(cluster: Cluster) -> None:
    async def story() -> None:
        sink = sink_of(cluster)
        cluster.refuse(*[MESSAGE_TOO_LARGE] * 3)
        with pytest.raises(SinkError, match="MessageSizeTooLarge"):
            await sink.take([row(1)])
        await sink.take([row(1)])
        await sink.close()

    uvloop.run(story())
    assert [each.key for each in cluster.messages(1)] == [row(1).id]


def test_over_tls_to_who_has_the_right_certificate(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("ca", "other"):
        ca.create(tmp_path / name, FARM)
    ca.issue(tmp_path / "ca", FARM, "n1", "127.0.0.1", tmp_path / "n1")

    async def story() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(
            tmp_path / "n1" / files.NODE_CERTIFICATE, tmp_path / "n1" / files.NODE_KEY
        )
        port = int(cluster.address.rpartition(":")[2])
        named = [b"\0\x09127.0.0.1" + number.to_bytes(4, "big") for number in (port, 0)]

        async def pump(
            source: asyncio.StreamReader, sink: asyncio.StreamWriter, old: bytes, new: bytes
        ) -> None:
            try:
                while data := await source.read(65_536):
                    # The broker tells its address, which shall be this one's.
                    sink.write(data.replace(old, new))
            except ConnectionError:
                pass
            finally:
                sink.close()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(
                pump(reader, back, b"\0none", b"\0none"),
                pump(there, writer, *named),
            )

        server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        own_port = server.sockets[0].getsockname()[1]
        named[1] = named[0][:-4] + own_port.to_bytes(4, "big")
        for authority in ("other", "ca"):
            sink = KafkaSink(
                KafkaSection(
                    brokers=(f"127.0.0.1:{own_port}",),
                    topic=TOPIC,
                    tls=True,
                    ca_file=str(tmp_path / authority / files.CA_CERTIFICATE),
                )
            )
            if authority == "other":
                with pytest.raises(SinkError):
                    await sink.take([row(1)])
            else:
                await sink.take([row(2)])
            await sink.close()
        server.close()

    asyncio.run(story())
    assert [each.key for each in cluster.messages(1)] == [row(2).id]


def test_a_farm_whose_brokers_go_and_come_back_sends_each_record_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    async def story(farm: Farm) -> None:
        farm.sections["export"] = {"kafka": {"brokers": [cluster.address], "topic": TOPIC}}
        await farm.start("n1", "n2", "n3")
        await farm.joined()
        ids = [f"call-{number}" for number in range(40)]

        async def call(number: int) -> None:
            for event in (start_event(ids[number]), stop_event(ids[number])):
                assert (await farm.ask(f"n{number % 3 + 1}", event)).level == "quorum"

        def told(what: str) -> int:
            return sum(
                getattr(n.billing.exporter.progress[name], what) for n in farm.nodes.values()
            )

        name = f"kafka {TOPIC}"
        await asyncio.gather(*map(call, range(20)))
        await until(lambda: told("taken") == 20, what="the first are sent")
        cluster.go()
        await asyncio.gather(*map(call, range(20, 40)))
        # Nothing is lost, and nothing waits for it but the records themselves.
        assert told("taken") == 20
        cluster.come_back()
        await until(lambda: told("taken") == 40, what="the rest is sent")

    play(tmp_path, story)
    found = cluster.messages(40)
    assert sorted(str(each.value["callid"]) for each in found) == sorted(
        f"call-{number}" for number in range(40)
    )
    assert len({each.key for each in found}) == 40
    assert all(each.key == each.value["id"] for each in found)


def test_files_that_are_not_there_are_named(cluster: Cluster, tmp_path: Path) -> None:
    async def story() -> None:
        for settings in (
            KafkaSection(brokers=(cluster.address,), tls=True, ca_file=str(tmp_path / "none")),
            KafkaSection(
                brokers=(cluster.address,),
                tls=True,
                sasl="PLAIN",
                user="sipfarm",
                password_file=str(tmp_path / "none"),
            ),
        ):
            with pytest.raises(SinkError, match="No such file"):
                await KafkaSink(settings).take([row(1)])

    uvloop.run(story())
