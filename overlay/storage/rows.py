"""The kinds of rows that can be committed to `records.db`.

In: what the daemon wants to keep. Out: the same as rows, which are committed in one transaction
with others. Counterparts: `committer.py` gathers them, `database.py` writes them.
"""

import msgspec

from overlay.records.call import BEGINNINGS, CallEvent
from overlay.records.node_info import NodeInfo
from overlay.storage.outbox import OutboxEntry, Sinks


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A call event on its way to disk."""

    call_key: bytes
    event_id: bytes
    time_us: int
    body: bytes
    journal: bool | None = None
    """True: also note that the event is not yet on W disks. False: remove that note. None:
    neither."""
    new: bool = False
    """The event begins a call, so it is refused when the disk is short of space."""
    head: bytes = b""
    """The head of this node's chain, which the next block goes on from
    (`overlay.billing.ledger.Head`); empty for other events."""


def event_row(
    key: bytes, event: CallEvent, body: bytes, *, journal: bool | None = None, head: bytes = b""
) -> EventRow:
    """The row of an event, which the caller has encoded as `body`. `key` is that of its call."""
    return EventRow(
        call_key=key,
        event_id=event.event_id,
        time_us=event.time_us,
        body=body,
        journal=journal,
        new=event.kind in BEGINNINGS,
        head=head,
    )


class SubscriberRow(msgspec.Struct, frozen=True, kw_only=True):
    """A subscriber record on its way to disk."""

    key: bytes
    aor: str
    body: bytes
    new: bool = False
    """There was no record before, so this one is refused when the disk is short of space."""


class JournalDone(msgspec.Struct, frozen=True, kw_only=True):
    """The note that this event is on W disks now."""

    event_id: bytes


class IncarnationRow(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation with which this run of the node began."""

    value: int


class Peers(msgspec.Struct, frozen=True, kw_only=True):
    """The peers to remember. They replace those that were remembered before."""

    peers: tuple[NodeInfo, ...]


class RevocationsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The revocation list that is in force. It replaces the one before."""

    body: bytes


class SettingsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The farm's settings that are in force. They replace those before."""

    body: bytes


class PastCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Delete these calls, except those that had an event since `before_us` and those that are still
    needed."""

    keys: tuple[bytes, ...]
    before_us: int


class RottenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is not as it was written. It is to be set aside, if it is still like that."""

    table: str
    """`events` or `subscribers`."""
    key: tuple[bytes, ...]


Row = (
    EventRow
    | SubscriberRow
    | JournalDone
    | Peers
    | RevocationsRow
    | SettingsRow
    | IncarnationRow
    | Sinks
    | OutboxEntry
    | PastCalls
    | RottenRow
)
