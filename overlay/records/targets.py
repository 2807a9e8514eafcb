"""Where to send a request for an address-of-record, as proxies need to know it.

In: bindings, which `routing.py` chose and ordered. Out: targets, and their form in Redis and in
Kamailio's tables. Counterparts: `overlay.cache.hot` writes them to Redis, `proxy/kept_targets.py`
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
    """There is no such subscriber: 404."""


class Target(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Where to send a request for an address-of-record: the part of a binding that a proxy
    needs."""

    uri: str
    """The Contact, which is the Request-URI to use."""
    received: str = ""
    """The URI to send the request to instead, if set (see `Binding.received`)."""
    owner: str = ""
    """The only node that can reach the phone, if set."""
    q: int = 1000
    path: tuple[str, ...] = ()
    backups: "tuple[Target, ...]" = ()
    """Other flows of the same device, to be tried in turn when the one before has failed."""


class CachedTargets(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The value under an address-of-record in Redis."""

    until_ms: int
    """The end of the lease or of the first binding, whichever comes first, in ms of
    CLOCK_MONOTONIC."""
    targets: tuple[Target, ...] = ()


_targets_encoder = msgspec.json.Encoder()


_decode_targets: Callable[[bytes | str], tuple[Target, ...]] = decoding.json(tuple[Target, ...])


_decode_cached: Callable[[bytes | str], CachedTargets] = decoding.json(CachedTargets)


def redis_key(aor: str) -> str:
    """The Redis key under which a proxy finds the targets of an address-of-record."""
    return f"l:{aor}"


def encode_cached(cached: CachedTargets) -> bytes:
    """The Redis value: JSON without NUL bytes, because `ndb_redis` hands values on as C strings."""
    return _targets_encoder.encode(cached)


def decode_cached(text: str | bytes) -> CachedTargets:
    """The value that `encode_cached` made this text of. Raises `msgspec.MsgspecError` for anything
    else."""
    return _decode_cached(text)


def encode_targets(targets: tuple[Target, ...]) -> bytes:
    """Targets as JSON without NUL bytes, for Kamailio's tables."""
    return _targets_encoder.encode(targets)


def decode_targets(text: str | bytes) -> tuple[Target, ...]:
    """The targets that `encode_targets` made this text of. Raises `msgspec.MsgspecError` for
    anything else."""
    return _decode_targets(text)
