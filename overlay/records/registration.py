"""Registration records: the bindings of one address-of-record, and how two copies merge.

In: bindings as REGISTER requests made them, on any node, in any order. Out: one record that every
replica agrees on. Counterpart: `registrar.py` decides what a REGISTER changes.

A record is a map from (place, Call-ID) to a binding. The place is the Contact URI, or, of a flow
(RFC 5626), the device and the number of its flow, whatever its Contact. Per entry the higher CSeq
wins, then the later hybrid logical clock, then the larger encoding; that is a total order, so
merging is commutative, associative and idempotent. A place that was registered under two Call-IDs
(the phone restarted) keeps both entries until the older one expires; the later clock is in force.
RFC 3261 10.3 step 7 orders REGISTERs by CSeq only within one Call-ID, as this does.

Most records have one entry, and every REGISTER takes several of these functions on three nodes:
they begin with what is true of one.
"""

from collections.abc import Callable, Iterable

import msgspec

from overlay.base import decoding

TOMBSTONE_GRACE_MS = 60_000
"""How long after its expiry an entry stays, so that no late copy brings it back."""


class Binding(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One contact of an address-of-record (RFC 3261 10.2.1), or the tombstone of one."""

    contact: str
    """Contact URI as the phone sent it, without header parameters."""
    call_id: str
    cseq: int
    expires_at_ms: int
    """Unix time in ms. Of a tombstone: when the longest copy that it hides ends."""
    changed: int
    """Hybrid logical clock of the REGISTER that made this entry."""
    q: int = 1000
    """Preference in thousandths, 0..1000."""
    removed: bool = False
    received: str = ""
    """Where the phone was seen, as a URI (`sip:192.0.2.1:4711;transport=udp`), when that is not
    where its Contact points; empty when the Contact can be used as it is."""
    owner: str = ""
    """Name of the node that holds the flow to the phone; empty when any node reaches it."""
    path: tuple[str, ...] = ()
    """Path URIs (RFC 3327), first hop first."""
    user_agent: str = ""
    instance: str = ""
    """The device (`+sip.instance`, RFC 5626), with its angle brackets; empty if it did not say."""
    reg_id: int = 0
    """The device's number for this flow; 0: no flow in the sense of RFC 5626."""

    @property
    def place(self) -> str:
        """What a later REGISTER with the same replaces."""
        return place_of(self.contact, self.instance, self.reg_id)

    @property
    def entry(self) -> tuple[str, str]:
        """The key of this entry in its record."""
        return (self.place, self.call_id)


Registration = tuple[Binding, ...]
"""Entries of one address-of-record, sorted by `Binding.entry`, each entry once."""

_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], Registration] = decoding.msgpack(Registration)


def place_of(contact: str, instance: str, reg_id: int) -> str:
    """The Contact URI, or the flow's number and device; no URI begins with a digit."""
    return f"{reg_id}{instance}" if reg_id else contact


def encode(record: Registration) -> bytes:
    """The record as stored and sent."""
    return _encoder.encode(record)


def decode(data: bytes | memoryview) -> Registration:
    """The record of `encode`; raises `msgspec.MsgspecError` on anything else."""
    return _decode(data)


def newer(one: Binding, two: Binding) -> Binding:
    """The binding in force of two of the same entry."""
    if one == two:
        return one
    first, second = (one.cseq, one.changed), (two.cseq, two.changed)
    if first != second:
        return one if first > second else two
    return max(one, two, key=_encoder.encode)


def merge(one: Registration, two: Registration) -> Registration:
    """Both records as one; `one` itself when `two` brings nothing new."""
    if one == two or not two:
        return one
    if not one:
        return two
    if len(one) == len(two) == 1 and one[0].entry == two[0].entry:
        return one if newer(one[0], two[0]) is one[0] else two
    merged = {binding.entry: binding for binding in one}
    changed = False
    for binding in two:
        mine = merged.get(binding.entry)
        winner = binding if mine is None else newer(mine, binding)
        if winner is not mine:
            merged[binding.entry] = winner
            changed = True
    return canonical(merged.values()) if changed else one


def canonical(bindings: Iterable[Binding]) -> Registration:
    """The bindings in the record's order."""
    found = tuple(bindings)
    if len(found) < 2:
        return found
    return tuple(sorted(found, key=lambda binding: binding.entry))


def prune(record: Registration, now_ms: int) -> Registration:
    """The record without what no longer matters.

    That is what ended longer than the grace ago, and an entry whose place has a later one that
    lasts at least as long: should a late copy bring it back, the later one still hides it.
    """
    horizon_ms = now_ms - TOMBSTONE_GRACE_MS
    if len(record) == 1:
        return record if record[0].expires_at_ms > horizon_ms else ()
    latest = _latest(record)
    kept = tuple(
        binding
        for binding in record
        if binding.expires_at_ms > horizon_ms
        and (
            (winner := latest[binding.place]) is binding
            or winner.expires_at_ms < binding.expires_at_ms
        )
    )
    return kept if len(kept) != len(record) else record


def ended(delta: Registration, now_ms: int) -> bool:
    """Whether an entry would be pruned as soon as it is written, for its age alone."""
    return any(binding.expires_at_ms <= now_ms - TOMBSTONE_GRACE_MS for binding in delta)


def standing(record: Registration, now_ms: int) -> Registration:
    """The record without what ended longer than the grace ago: `record` itself if that is nothing.

    To be merged with others: a node whose clock is behind makes entries that ended before they
    came. Merged as they are, they would replace what still holds, and then be pruned.
    """
    horizon_ms = now_ms - TOMBSTONE_GRACE_MS
    if all(binding.expires_at_ms > horizon_ms for binding in record):
        return record
    return tuple(binding for binding in record if binding.expires_at_ms > horizon_ms)


def _latest(record: Registration) -> dict[str, Binding]:
    """By place, the entry with the latest change."""
    latest: dict[str, Binding] = {}
    for binding in record:
        mine = latest.get(binding.place)
        if mine is None or (binding.changed, binding.call_id) > (mine.changed, mine.call_id):
            latest[binding.place] = binding
    return latest


def in_force(record: Registration, now_ms: int) -> list[Binding]:
    """The bindings to route to: per place the latest entry, neither removed nor expired.

    Ordered by q, then by the latest change, then by place: the same order on every node.
    """
    if len(record) == 1:
        only = record[0]
        return [] if only.removed or only.expires_at_ms <= now_ms else [only]
    live = [b for b in _latest(record).values() if not b.removed and b.expires_at_ms > now_ms]
    return sorted(live, key=lambda b: (-b.q, -b.changed, b.place))
