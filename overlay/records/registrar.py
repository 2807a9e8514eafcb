"""Decides what a REGISTER changes (RFC 3261 10.3): a function of the record and the request.

In: the record as this node knows it; an authorized request. Out: a refusal, or the entries to
write. Either all entries are written or none: a REGISTER succeeds or fails as a whole. Counterpart:
`overlay.replication.registrations` writes what is decided here.
"""

import msgspec

from overlay.records import contact_uri, registration
from overlay.records.register import Contact, ContactChange, RegisterOutcome, RegisterRequest
from overlay.records.registration import Binding, Registration


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome, and the entries to write when it is DONE."""

    outcome: RegisterOutcome
    delta: Registration = ()


def decide(
    record: Registration,
    request: RegisterRequest,
    now_ms: int,
    stamp: int,
    contacts_max: int,
    unseen_s: int = 0,
) -> Decision:
    """What `request` does to `record` at `now_ms` (Unix time).

    `stamp` is the hybrid logical clock of this REGISTER. It is moved past every entry in the
    record, because a coordinator whose clock is behind must still have the last word.

    `unseen_s` says how long a binding may last that is not in `record`. It is above 0 if too few
    nodes are there to say what else was registered; a removal then outlives such a binding as well.
    It is 0 if a quorum sees everything.

    A request whose CSeq equals that of its own entry is a retransmission. Its entry is written
    again as it is, so that the second try completes a first one that reached too few replicas.
    """
    mine = {binding.place: binding for binding in record if binding.call_id == request.call_id}
    changes = _all_changes(record, request, now_ms)
    stamp = max(stamp, 1 + max((binding.changed for binding in record), default=0))
    delta: dict[str, Binding] = {}
    for change in changes:
        place = registration.place_of(change.uri, change.instance, change.reg_id)
        own = mine.get(place)
        if own is not None and own.cseq > request.cseq:
            return Decision(outcome=RegisterOutcome.STALE)
        if own is not None and own.cseq == request.cseq:
            if own.removed and change.expires_s:
                return Decision(outcome=RegisterOutcome.TOO_MANY)
            delta[place] = own
            continue
        delta[place] = _entry(record, request, change, place, now_ms, stamp, unseen_s)
    after = registration.merge(record, registration.canonical(delta.values()))
    adds = any(not binding.removed for binding in delta.values())
    if adds and len(registration.in_force(after, now_ms)) > contacts_max:
        return Decision(outcome=RegisterOutcome.TOO_MANY)
    return Decision(outcome=RegisterOutcome.DONE, delta=registration.canonical(delta.values()))


def _all_changes(
    record: Registration, request: RegisterRequest, now_ms: int
) -> tuple[ContactChange, ...]:
    """The changes that the request asks for, and those that follow from it: a Contact replaces
    every binding whose URI is equivalent (RFC 3261 19.1.4), even if it is written otherwise. Flows
    are distinguished by device and number alone (RFC 5626 6)."""
    if request.remove_all:
        live = registration.in_force(record, now_ms)
        return tuple(map(_removal, live))
    if not record:
        return request.contacts
    changes = {
        registration.place_of(change.uri, change.instance, change.reg_id): change
        for change in request.contacts
    }
    for change in request.contacts:
        if change.reg_id:
            continue
        for binding in record:
            if (
                not binding.reg_id
                and binding.place not in changes
                and (_there(binding, now_ms) or _of(binding, request))
                and contact_uri.same(change.uri, binding.contact)
            ):
                changes[binding.place] = _removal(binding)
    return tuple(changes.values())


def _there(binding: Binding, now_ms: int) -> bool:
    return not binding.removed and binding.expires_at_ms > now_ms


def _of(binding: Binding, request: RegisterRequest) -> bool:
    """Whether this very request, or its first try, made the entry."""
    return binding.call_id == request.call_id and binding.cseq == request.cseq


def _removal(binding: Binding) -> ContactChange:
    return ContactChange(
        uri=binding.contact, expires_s=0, instance=binding.instance, reg_id=binding.reg_id
    )


def overtaken(record: Registration, delta: Registration) -> bool:
    """Whether an entry of `delta` came too late, by `record` as the replicas answered."""
    entries = {binding.entry: binding for binding in record}
    return any(
        (found := entries.get(binding.entry)) is not None and found.cseq > binding.cseq
        for binding in delta
    )


def overlooked(
    record: Registration, request: RegisterRequest, delta: Registration, now_ms: int
) -> bool:
    """Whether the request means more bindings than `delta` changes, by `record` as the replicas
    answered: an equivalent of its Contact that is written otherwise, and that the coordinator did
    not know."""
    if len(record) <= len(delta) or request.remove_all:
        return False
    changed = {binding.place for binding in delta}
    return any(
        registration.place_of(change.uri, change.instance, change.reg_id) not in changed
        for change in _all_changes(record, request, now_ms)
    )


def undo(
    before: Registration, record: Registration, delta: Registration, now_ms: int, contacts_max: int
) -> Registration:
    """The removals that take back the contacts that `delta` added, if there are now too many, by
    `record` as the replicas answered; empty if there are not. `before` is the record as the
    coordinator knew it, with fewer contacts.

    A removal has the CSeq of the entry that it removes. That is how `decide` recognizes a
    retransmission of the REGISTER that was taken back.
    """
    if len(registration.in_force(record, now_ms)) <= contacts_max:
        return ()
    there = {binding.place for binding in registration.in_force(before, now_ms)}
    stamp = 1 + max(binding.changed for binding in record)
    return registration.canonical(
        msgspec.structs.replace(binding, removed=True, changed=stamp)
        for binding in delta
        if not binding.removed and binding.place not in there
    )


def listed(record: Registration, now_ms: int) -> tuple[Contact, ...]:
    """The bindings for the Contact headers of a 200."""
    return tuple(
        Contact(
            uri=binding.contact,
            expires_s=max(1, (binding.expires_at_ms - now_ms + 999) // 1000),
            q=binding.q,
            instance=binding.instance,
            reg_id=binding.reg_id,
        )
        for binding in registration.in_force(record, now_ms)
    )


def _entry(
    record: Registration,
    request: RegisterRequest,
    change: ContactChange,
    place: str,
    now_ms: int,
    stamp: int,
    unseen_s: int,
) -> Binding:
    removed = change.expires_s == 0
    expires_at_ms = now_ms + change.expires_s * 1000
    if removed:
        hidden = (b.expires_at_ms for b in record if b.place == place)
        expires_at_ms = max(now_ms + unseen_s * 1000, *hidden, 0)
    return Binding(
        contact=change.uri,
        call_id=request.call_id,
        cseq=request.cseq,
        expires_at_ms=expires_at_ms,
        changed=stamp,
        q=change.q,
        removed=removed,
        received=change.received,
        owner=change.owner,
        path=request.path,
        user_agent=request.user_agent,
        instance=change.instance,
        reg_id=change.reg_id,
    )
