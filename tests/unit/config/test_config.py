"""Which configurations are accepted."""

import os
import tomllib

import pytest

from overlay.base.errors import ConfigError
from overlay.config import config

NODE = {"farm": {"name": "farm.test"}, "node": {"name": "n1", "address": "192.0.2.11"}}


@pytest.mark.parametrize("name", ["lookup_deadline_ms", "contacts_max", "port"])
def test_what_must_be_above_zero(name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ConfigError, match=rf"proxy\.{name}"):
            config.parse({**NODE, "proxy": {name: value}}, "here")


@pytest.mark.parametrize("name", ["workers", "udp_bytes_max", "source_requests_per_s_max"])
def test_what_may_be_zero_but_not_below(name: str) -> None:
    assert getattr(config.parse({**NODE, "proxy": {name: 0}}, "here").proxy, name) == 0
    with pytest.raises(ConfigError, match=rf"proxy\.{name}"):
        config.parse({**NODE, "proxy": {name: -1}}, "here")


def test_a_worker_for_each_core_and_two_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 2), (2, 2), (8, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, cores=cores: set(range(cores)))
        assert config.parse(NODE, "here").proxy.worker_count == workers
    assert config.parse({**NODE, "proxy": {"workers": 3}}, "here").proxy.worker_count == 3


def test_where_brokers_are_is_written_as_it_is_read() -> None:
    kafka = {"brokers": ["k1.test:9092", "[2001:db8::1]:9092"], "topic": "cdr", "tls": True}
    found = config.parse({**NODE, "export": {"kafka": kafka}}, "here")
    assert found.export.kafka.topic == "cdr"
    assert config.parse(tomllib.loads(config.dump(found)), "there") == found


@pytest.mark.parametrize(
    "kafka",
    [
        {"brokers": ["k1.test"]},
        {"topic": "a b"},
        {"sasl": "PLAIN", "user": "u"},
        {"sasl": "SCRAM-SHA-256"},
        {"user": "u"},
    ],
)
def test_brokers_that_cannot_be(kafka: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"export\.kafka"):
        config.parse({**NODE, "export": {"kafka": kafka}}, "here")


def test_what_was_decided_is_written_and_nothing_else() -> None:
    kafka = {"brokers": ["k1.test:9092"], "topic": "cdr"}
    found = config.parse({**NODE, "proxy": {"tls_port": 5061}, "export": {"kafka": kafka}}, "here")
    text = config.dump_decided(found)
    assert config.parse(tomllib.loads(text), "there") == found
    assert tomllib.loads(text) == {
        **NODE,
        "proxy": {"tls_port": 5061},
        "export": {"kafka": kafka},
    }
