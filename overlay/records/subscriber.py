"""Subscriber records: who may register and call, and the digest secrets that prove it.

In: subscribers that the operator adds with `sipfarm subscriber`, and signs. Out: HA1 values for the
digest check of the proxies (RFC 3261 22, RFC 2617 3.2.2.2). The highest version wins; a removal is
a version too. Counterpart: `overlay.replication.vetting` checks the signature.
"""

from collections.abc import Callable
from hashlib import md5, sha256
from typing import Final

import msgspec

from overlay.base import decoding
from overlay.identity.operator import OperatorKey


class Policy(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a subscriber may do. Each default is what the farm allows everybody."""

    blocked: bool = False
    """The subscriber may neither register nor call."""
    contacts_max: int = 0
    """Bindings at a time; 0: `proxy.contacts_max`."""
    calls_per_second_max: int = 0
    """New calls that each node takes from the subscriber in a second; 0: no limit."""
    destinations: tuple[str, ...] = ()
    """Beginnings of the destinations that the subscriber may call, as `user@domain` without scheme;
    empty: all destinations."""
    identities: tuple[str, ...] = ()
    """Other addresses-of-record that the subscriber may call as (RFC 3325)."""
    calls_max: int = 0
    """Calls that the subscriber may have made at a time; 0: no limit."""


class Subscriber(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One subscriber, named by its address-of-record."""

    aor: str
    version: int
    """The hybrid logical clock of the change."""
    ha1: str = ""
    """MD5 of `user:realm:password`, 32 lower-case hex digits."""
    ha1_sha256: str = ""
    """SHA-256 of the same (RFC 8760), 64 hex digits."""
    removed: bool = False
    signature: bytes = b""
    """The operator's signature over `signed_part`."""
    policy: Policy = Policy()


PURPOSE: Final = b"subscriber 1"
"""What the operator's signature under a subscriber is for."""


_NO_POLICY: Final = msgspec.structs.astuple(Policy())
_FIRST_FIELDS: Final = 5
"""How many fields of a policy are signed even if they have their defaults: the first version had
these, and signed them all."""
_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], Subscriber] = decoding.msgpack(Subscriber)


def encode(record: Subscriber) -> bytes:
    """The record's bytes, as they are stored and sent."""
    return _encoder.encode(record)


def decode(data: bytes | memoryview) -> Subscriber:
    """The record that `encode` made these bytes of. Raises `msgspec.MsgspecError` for anything
    else."""
    return _decode(data)


def signed_part(record: Subscriber) -> bytes:
    """The bytes that the operator signs: every field but the signature, in order.

    A policy that has nothing but defaults is left out. So are later fields of a policy that have
    their defaults. So the signature of a record stays valid that was made before policies, or those
    fields, existed.
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
    """Which of two records of the same subscriber is in force."""
    if one.version != two.version:
        return one if one.version > two.version else two
    return max(one, two, key=encode)


def with_password(aor: str, password: str, version: int) -> Subscriber:
    """A record for digest authentication; the realm is the domain of the address-of-record."""
    user, _, domain = aor.rpartition("@")
    secret = f"{user}:{domain}:{password}".encode()
    return Subscriber(
        aor=aor,
        version=version,
        ha1=md5(secret).hexdigest(),
        ha1_sha256=sha256(secret).hexdigest(),
    )
