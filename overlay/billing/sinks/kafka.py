"""Billing records in a Kafka topic, one message for each row.

In: rows. Out: messages whose key is the row's id, and whose value is the row as JSON. Messages with
the same id are always in the same partition, so revisions stay in order. Counterpart: the
operator's brokers.

    rows ─► producer, acks of all in-sync replicas ─► taken
                └─ too large ─► each by itself ─► still too large ─► cut, with the header `cut`

The producer is idempotent: a message that it sends twice is in the topic once. After an error, the
state of its sequence numbers is unknown, so it is replaced. The rows then come again, and may be in
the topic twice.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from overlay.base import tasks
from overlay.base.limits import IDENTITY_FILE_BYTES_MAX
from overlay.billing.columns import COLUMNS, BilledRow
from overlay.billing.sinks.sink import SinkError
from overlay.config.sections import KafkaSection
from overlay.records.billed import Kind

TAKE_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
RETRY_MS: Final = 500
"""Time between two attempts of the producer, which copes with brokers that restart or hand over."""
CUT_BYTES_MAX: Final = 10 << 10
"""The largest value of a message that was cut."""
CUT_TEXT_CHARS: Final = 100
CUT: Final = ("cut", b"1")
"""Header of a message whose row is not whole."""
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)

log = logging.getLogger(__name__)
# The library logs a line for each attempt to reach a broker. What matters of that is in
# `SinkError`.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def cut(row: BilledRow) -> BilledRow:
    """The row, cut below `CUT_BYTES_MAX`. A broker that refuses such a message refuses any.

    The event ids go, as a call that was refreshed for months has many, and the texts are cut. Times
    and durations are never cut. Neither are the dialog's names, unless they alone are too long, as
    `id` was made of the uncut names.
    """
    shorter = msgspec.structs.replace(row, event_ids="", **_shortened(row, Kind.TEXT))
    if len(msgspec.json.encode(shorter)) < CUT_BYTES_MAX:
        return shorter
    return msgspec.structs.replace(shorter, **_shortened(row, Kind.NAME))


def _shortened(row: BilledRow, kind: Kind) -> dict[str, str]:
    names = (name for name, column in COLUMNS.items() if column.kind is kind)
    return {name: getattr(row, name)[:CUT_TEXT_CHARS] for name in names}


class KafkaSink:
    """The sink of one topic."""

    def __init__(self, settings: KafkaSection) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    @property
    def name(self) -> str:
        return f"kafka {self._settings.topic}"

    async def take(self, rows: Sequence[BilledRow]) -> None:
        try:
            async with asyncio.timeout(TAKE_TIMEOUT_S):
                for row in await self._too_large(rows):
                    await self._take_alone(row)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise SinkError(_reason(error)) from error

    async def tick(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # An idempotent producer never gives up a message that it could not send, and would wait for
        # it.
        await tasks.end([producer._sender.sender_task])
        producer._message_accumulator._batches.clear()
        producer._message_accumulator._pending_batches.clear()
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await producer.stop()

    # inner workings

    async def _too_large(self, rows: Sequence[BilledRow]) -> list[BilledRow]:
        """Send all rows; returns those that no broker took, as they or their batch were too
        large."""
        producer = await self._connected()
        sent = []
        for row in rows:
            try:
                sent.append(await self._send(producer, row))
            except _TOO_LARGE as error:
                # The producer's own limit was exceeded.
                sent.append(_failed(error))
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        too_large = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, _TOO_LARGE):
                too_large.append(row)
            elif isinstance(outcome, BaseException):
                raise outcome
        if too_large:
            await self.close()
        return too_large

    async def _take_alone(self, row: BilledRow) -> None:
        """Send the row in a batch of its own, whole or cut."""
        try:
            await (await self._send(await self._connected(), row))
        except _TOO_LARGE:
            await self.close()
            log.warning("record %s is too large for topic %s: cut", row.id, self._settings.topic)
            await (await self._send(await self._connected(), cut(row), CUT))

    async def _send(
        self, producer: AIOKafkaProducer, row: BilledRow, *headers: tuple[str, bytes]
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = await producer.send(
            self._settings.topic,
            key=row.id.encode(),
            value=msgspec.json.encode(row),
            headers=list(headers),
        )
        return future

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        settings = self._settings
        producer = AIOKafkaProducer(
            bootstrap_servers=list(settings.brokers),
            client_id="sipfarm",
            acks="all",
            enable_idempotence=True,
            retry_backoff_ms=RETRY_MS,
            **_security(settings),
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        return producer


def _security(settings: KafkaSection) -> dict[str, Any]:
    """The security options of a producer. The files are read for each new producer, so that changes
    are used; raises `OSError`."""
    options: dict[str, Any] = {}
    if settings.tls:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file or None)
        options["ssl_context"] = context
    if settings.sasl:
        with Path(settings.password_file).open("rb") as file:
            password = file.read(IDENTITY_FILE_BYTES_MAX).strip()
        options |= {
            "sasl_mechanism": settings.sasl,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": password.decode("utf-8", "replace"),
        }
    transport = "SSL" if settings.tls else "PLAINTEXT"
    return options | {"security_protocol": f"SASL_{transport}" if settings.sasl else transport}


def _failed(error: KafkaError) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TAKE_TIMEOUT_S:g} s"
    return str(error) or type(error).__name__
