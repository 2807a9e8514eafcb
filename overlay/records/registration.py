"""Registration records: the bindings of one address-of-record, and how two copies merge.

In: bindings as REGISTER requests made them, on any node, in any order. Out: one record that every
replica agrees on. Counterpart: `registrar.py` decides what a REGISTER changes.

A record is a map from (place, Call-ID) to a binding. The place is the Contact URI. Of a flow (RFC
5626), it is the device and the flow's number instead, whatever the Contact is. In each entry the
binding with the higher CSeq wins, then that with the later hybrid logical clock, then that with the
larger encoding. This is a total order, so merging is commutative, associative and idempotent.

A place that was registered under two Call-IDs, because the phone restarted, keeps both entries
until the older one expires. The entry with the later clock is in force. RFC 3261 10.3 step 7 orders
REGISTERs by CSeq only within one Call-ID, and so does this.

Most records have one entry, and every REGISTER takes several of these functions on three nodes. So
each function first handles a record with one entry.
"""

from collections.abc import Callable, Iterable

import msgspec

from overlay.base import decoding

TOMBSTONE_GRACE_MS = 60_000
"""How long, in ms, an entry stays after it has expired, so that no late copy brings it back."""


class Binding(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One contact of an address-of-record (RFC 3261 10.2.1), or the tombstone of one."""

    contact: str
    """The Contact URI as the phone sent it, without header parameters."""
    call_id: str
    cseq: int
    expires_at_ms: int
    """Unix time in ms. Of a tombstone: when the longest copy ends that it hides."""
    changed: int
    """The hybrid logical clock of the REGISTER that made this entry."""
    q: int = 1000
    """The preference in thousandths, 0..1000."""
    removed: bool = False
    received: str = ""
    """The address at which the phone was seen, as a URI (`sip:192.0.2.1:4711;transport=udp`), if
    its Contact points elsewhere; empty if the Contact can be used as it is."""
    owner: str = ""
    """The name of the node that holds the flow to the phone; empty if any node reaches the
    phone."""
    path: tuple[str, ...] = ()
    """The Path URIs (RFC 3327), first hop first."""
    user_agent: str = ""
    instance: str = ""
    """The device (`+sip.instance`, RFC 5626), with its angle brackets; empty if the phone did not
    say."""
    reg_id: int = 0
    """The device's number for this flow; 0: it is not a flow in the sense of RFC 5626."""

    @property
    def place(self) -> str:
        """The place of the binding. A later REGISTER for the same place replaces it."""
        return place_of(self.contact, self.instance, self.reg_id)

    @property
    def entry(self) -> tuple[str, str]:
        """The key of this entry in its record."""
        return (self.place, self.call_id)


Registration = tuple[Binding, ...]
"""The entries of one address-of-record, sorted by `Binding.entry`, each entry once."""

_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], Registration] = decoding.msgpack(Registration)


def place_of(contact: str, instance: str, reg_id: int) -> str:
    """The Contact URI; or the flow's number followed by the device. No URI begins with a digit."""
    return f"{reg_id}{instance}" if reg_id else contact


def encode(record: Registration) -> bytes:
    """The record's bytes, as they are stored and sent."""
    return _encoder.encode(record)


def decode(data: bytes | memoryview) -> Registration:
    """The record that `encode` made these bytes of. Raises `msgspec.MsgspecError` for anything
    else."""
    return _decode(data)


def newer(one: Binding, two: Binding) -> Binding:
    """Which of two bindings of the same entry is in force."""
    if one == two:
        return one
    first, second = (one.cseq, one.changed), (two.cseq, two.changed)
    if first != second:
        return one if first > second else two
    return max(one, two, key=_encoder.encode)


def merge(one: Registration, two: Registration) -> Registration:
    """Both records as one; `one` itself if `two` brings nothing new."""
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
    """The record without entries that no longer matter; the same object if all of them do.

    Two kinds of entries no longer matter: one that ended longer than the grace ago, and one whose
    place has a later entry that lasts at least as long. If a late copy brings the second kind back,
    the later entry still hides it.
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
    """Whether some entry is so old that it would be pruned as soon as it was written."""
    return any(binding.expires_at_ms <= now_ms - TOMBSTONE_GRACE_MS for binding in delta)


def standing(record: Registration, now_ms: int) -> Registration:
    """The record without entries that ended longer than the grace ago; `record` itself if there are
    none.

    This is for records that are merged with others. A node whose clock is behind makes entries that
    have ended before they arrive. Merged as they are, they would replace entries that are still in
    force, and then be pruned.
    """
    horizon_ms = now_ms - TOMBSTONE_GRACE_MS
    if all(binding.expires_at_ms > horizon_ms for binding in record):
        return record
    return tuple(binding for binding in record if binding.expires_at_ms > horizon_ms)


def _latest(record: Registration) -> dict[str, Binding]:
    """The entry with the latest change, by place."""
    latest: dict[str, Binding] = {}
    for binding in record:
        mine = latest.get(binding.place)
        if mine is None or (binding.changed, binding.call_id) > (mine.changed, mine.call_id):
            latest[binding.place] = binding
    return latest


def in_force(record: Registration, now_ms: int) -> list[Binding]:
    """The bindings to route to: the latest entry of each place, if it is neither removed nor
    expired.

    They are ordered by q, then by the latest change, then by place: the same order on every node.
    """
    if len(record) == 1:
        only = record[0]
        return [] if only.removed or only.expires_at_ms <= now_ms else [only]
    live = [b for b in _latest(record).values() if not b.removed and b.expires_at_ms > now_ms]
    return sorted(live, key=lambda b: (-b.q, -b.changed, b.place))
