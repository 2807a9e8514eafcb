"""Subscriber records: who may register and call, and the digest secrets that prove it.

In: what the operator adds with `sipfarm subscriber`, and signs. Out: HA1 values to the proxies'
digest check (RFC 3261 22, RFC 2617 3.2.2.2). Highest version wins; a removal is a version of its
own. Counterpart: `overlay.replication.vetting` checks the signature.
"""

from collections.abc import Callable
from hashlib import md5, sha256
from typing import Final

import msgspec

from overlay.base import decoding
from overlay.identity.operator import OperatorKey


class Policy(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a subscriber may do; each default is what the farm allows everybody."""

    blocked: bool = False
    """May neither register nor call."""
    contacts_max: int = 0
    """Bindings at a time; 0: `proxy.contacts_max`."""
    calls_per_second_max: int = 0
    """New calls that each node takes from him in a second; 0: no limit."""
    destinations: tuple[str, ...] = ()
    """Beginnings of what he may call, as `user@domain` without scheme; none: everything."""
    identities: tuple[str, ...] = ()
    """Other addresses-of-record that he may call as (RFC 3325)."""
    calls_max: int = 0
    """Calls that he makes at a time; 0: no limit."""


class Subscriber(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One subscriber, named by its address-of-record."""

    aor: str
    version: int
    """Hybrid logical clock of the change."""
    ha1: str = ""
    """MD5 of `user:realm:password`, 32 lower-case hex digits."""
    ha1_sha256: str = ""
    """SHA-256 of the same (RFC 8760), 64 hex digits."""
    removed: bool = False
    signature: bytes = b""
    """The operator's, under `signed_part`."""
    policy: Policy = Policy()


PURPOSE: Final = b"subscriber 1"
"""What the operator's signature under a subscriber is for."""


_NO_POLICY: Final = msgspec.structs.astuple(Policy())
_FIRST_FIELDS: Final = 5
"""Fields of a policy that are signed even if they say nothing: once there were no more."""
_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], Subscriber] = decoding.msgpack(Subscriber)


def encode(record: Subscriber) -> bytes:
    """The record as stored and sent."""
    return _encoder.encode(record)


def decode(data: bytes | memoryview) -> Subscriber:
    """The record of `encode`; raises `msgspec.MsgspecError` on anything else."""
    return _decode(data)


def signed_part(record: Subscriber) -> bytes:
    """What the operator signs: every field but the signature, in order.

    A policy that says nothing is left out, and so are later fields of one that say nothing, so that
    records from before there were any stay signed.
    """
    fields = (record.aor, record.version, record.ha1, record.ha1_sha256, record.removed)
    if record.policy == Policy():
        return _encoder.encode(fields)
    policy = msgspec.structs.astuple(record.policy)
    while len(policy) > _FIRST_FIELDS and policy[-1] == _NO_POLICY[len(policy) - 1]:
        policy = policy[:-1]
    return _encoder.encode((*fields, policy))


def signed(record: Subscriber, key: OperatorKey) -> Subscriber:
    """The record with the operator's signature."""
    signature = key.sign(PURPOSE, signed_part(record))
    return msgspec.structs.replace(record, signature=signature)


def merge(one: Subscriber, two: Subscriber) -> Subscriber:
    """The record in force of two of the same subscriber."""
    if one.version != two.version:
        return one if one.version > two.version else two
    return max(one, two, key=encode)


def with_password(aor: str, password: str, version: int) -> Subscriber:
    """A record for digest authentication in the realm that is the AoR's domain."""
    user, _, domain = aor.rpartition("@")
    secret = f"{user}:{domain}:{password}".encode()
    return Subscriber(
        aor=aor,
        version=version,
        ha1=md5(secret).hexdigest(),
        ha1_sha256=sha256(secret).hexdigest(),
    )
