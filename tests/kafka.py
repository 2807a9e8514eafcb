"""Runs Kafka brokers for one test: the mock cluster inside librdkafka, Confluent's client library.

In: the brokers' next answers. Out: a cluster of one broker on a TCP port, with a topic of three
partitions. Counterpart: the tests of `overlay.billing.sinks.kafka`.

No Apache Kafka runs here, as the registries that the project installs from have no package with
brokers. This one speaks the protocol over TCP, keeps in memory what it gets, and checks the
sequence numbers of idempotent producers. Other people wrote it than the producer that is tested
with it. It knows neither TLS nor SASL nor limits of size; refusals are told to it in advance.
"""

import ctypes
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import confluent_kafka
from confluent_kafka import Consumer

TOPIC: Final = "cdr"
PARTITIONS: Final = 3
NOT_LEADER: Final = 6
MESSAGE_TOO_LARGE: Final = 10
TOPIC_AUTHORIZATION_FAILED: Final = 29
_PRODUCER: Final = 0
_PRODUCE: Final = 0
_BROKER: Final = 1


@dataclass(frozen=True)
class Message:
    """What is in the topic."""

    key: str
    value: dict[str, object]
    headers: tuple[tuple[str, bytes], ...]
    partition: int


def _library() -> ctypes.CDLL:
    (path,) = Path(confluent_kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka-*")
    library = ctypes.CDLL(str(path))
    handle, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, arguments in (
        ("rd_kafka_conf_new", handle, ()),
        ("rd_kafka_conf_set", number, (handle, text, text, text, ctypes.c_size_t)),
        ("rd_kafka_new", handle, (number, handle, text, ctypes.c_size_t)),
        ("rd_kafka_destroy", None, (handle,)),
        ("rd_kafka_mock_cluster_new", handle, (handle, number)),
        ("rd_kafka_mock_cluster_destroy", None, (handle,)),
        ("rd_kafka_mock_cluster_bootstraps", text, (handle,)),
        ("rd_kafka_mock_topic_create", number, (handle, text, number, number)),
        ("rd_kafka_mock_broker_set_down", number, (handle, ctypes.c_int32)),
        ("rd_kafka_mock_broker_set_up", number, (handle, ctypes.c_int32)),
        (
            "rd_kafka_mock_push_request_errors_array",
            None,
            (handle, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)),
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Cluster:
    """One broker."""

    def __init__(self) -> None:
        self._library = _library()
        reason = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        # It has no brokers but the mock ones, and would say so.
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", reason, 512)
        self._owner = self._library.rd_kafka_new(_PRODUCER, settings, reason, 512)
        assert self._owner, reason.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._owner, 1)
        created = self._library.rd_kafka_mock_topic_create(
            self._cluster, TOPIC.encode(), PARTITIONS, 1
        )
        assert not created
        self.address: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def close(self) -> None:
        """End it, and what it keeps."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._owner)

    def go(self) -> None:
        """Refuse connections and cut those there are."""
        assert not self._library.rd_kafka_mock_broker_set_down(self._cluster, _BROKER)

    def come_back(self) -> None:
        """With what was kept."""
        assert not self._library.rd_kafka_mock_broker_set_up(self._cluster, _BROKER)

    def refuse(self, *codes: int) -> None:
        """Answer the next Produce requests with these error codes, the protocol's."""
        numbers = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, _PRODUCE, len(codes), numbers
        )

    def messages(self, count: int, within_s: float = 20.0) -> list[Message]:
        """All that is in the topic, at least so many, as another client reads it."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "test",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
            }
        )
        partitions = [confluent_kafka.TopicPartition(TOPIC, n, 0) for n in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = [consumer.get_watermark_offsets(each, timeout=within_s)[1] for each in partitions]
        assert sum(ends) >= count, f"{sum(ends)} messages, not {count}"
        found = consumer.consume(sum(ends), timeout=within_s) if sum(ends) else []
        consumer.close()
        return [
            Message(
                key=(each.key() or b"").decode(),
                value=json.loads(each.value() or b"null"),
                headers=tuple(each.headers() or ()),
                partition=each.partition(),
            )
            for each in found
        ]
