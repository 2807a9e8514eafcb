"""Where to send a request for an address-of-record, as proxies need to know it.

In: bindings, chosen and ordered by `routing.py`. Out: targets, and how Redis and the tables of
Kamailio hold them. Counterparts: `overlay.cache.hot` writes them to Redis, `proxy/kept_targets.py`
reads them.
"""

from collections.abc import Callable
from enum import IntEnum

import msgspec

from overlay.base import decoding


class Reach(IntEnum):
    """What is known of an address-of-record."""

    FOUND = 1
    OFFLINE = 2
    """A subscriber without a binding in force: 480."""
    UNKNOWN = 3
    """No such subscriber: 404."""


class Target(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Where to send a request for an address-of-record: what a proxy needs of a binding."""

    uri: str
    """The Contact: the Request-URI to use."""
    received: str = ""
    """Send it here instead, if set (see `Binding.received`)."""
    owner: str = ""
    """Only this node can reach it, if set."""
    q: int = 1000
    path: tuple[str, ...] = ()
    backups: "tuple[Target, ...]" = ()
    """Other flows of the same device, to be tried in turn when the one before has failed."""


class CachedTargets(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is under an address-of-record in Redis."""

    until_ms: int
    """End of the lease or of the first binding, in ms of CLOCK_MONOTONIC."""
    targets: tuple[Target, ...] = ()


_targets_encoder = msgspec.json.Encoder()


_decode_targets: Callable[[bytes | str], tuple[Target, ...]] = decoding.json(tuple[Target, ...])


_decode_cached: Callable[[bytes | str], CachedTargets] = decoding.json(CachedTargets)


def redis_key(aor: str) -> str:
    """The Redis key under which a proxy finds the targets of an address-of-record."""
    return f"l:{aor}"


def encode_cached(cached: CachedTargets) -> bytes:
    """The Redis value: JSON without NUL bytes, as `ndb_redis` hands values on as C strings."""
    return _targets_encoder.encode(cached)


def decode_cached(text: str | bytes) -> CachedTargets:
    """The value of `encode_cached`; raises `msgspec.MsgspecError` on anything else."""
    return _decode_cached(text)


def encode_targets(targets: tuple[Target, ...]) -> bytes:
    """Targets as JSON without NUL bytes, for tables of Kamailio."""
    return _targets_encoder.encode(targets)


def decode_targets(text: str | bytes) -> tuple[Target, ...]:
    """The targets of `encode_targets`; raises `msgspec.MsgspecError` on anything else."""
    return _decode_targets(text)
