"""What can be committed to `records.db`.

In: what the daemon wants to keep. Out: the same as rows, committed in one transaction with others.
Counterparts: `committer.py` gathers them, `database.py` writes them.
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
    """True: also note that it is not yet on W disks; False: take that note away."""
    new: bool = False
    """It begins a call: refused when the disk is short of space."""
    head: bytes = b""
    """Of this node's chain: what the next block goes on from (`overlay.billing.ledger.Head`)."""


def event_row(
    key: bytes, event: CallEvent, body: bytes, *, journal: bool | None = None, head: bytes = b""
) -> EventRow:
    """The row of an event, which its caller has encoded in `body`; `key` is its call's."""
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
    """There was none before: refused when the disk is short of space."""


class JournalDone(msgspec.Struct, frozen=True, kw_only=True):
    """This event is on W disks now."""

    event_id: bytes


class IncarnationRow(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation that this run of the node began with."""

    value: int


class Peers(msgspec.Struct, frozen=True, kw_only=True):
    """The peers to remember, in place of those remembered before."""

    peers: tuple[NodeInfo, ...]


class RevocationsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The revocation list that is in force, in place of the one before."""

    body: bytes


class SettingsRow(msgspec.Struct, frozen=True, kw_only=True):
    """The farm's settings that are in force, in place of those before."""

    body: bytes


class PastCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Delete these calls, those apart that had an event since, or that are needed yet."""

    keys: tuple[bytes, ...]
    before_us: int


class RottenRow(msgspec.Struct, frozen=True, kw_only=True):
    """This row is not as it was written; it is to be set aside, if it is still there like that."""

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
