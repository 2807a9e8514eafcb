"""The parts that make bills of call events: signed, closed, exported, and deleted when past.

In: the base and the record parts of a node. Out: these parts. Counterparts: `overlay.billing` says
what each of them does.
"""

from dataclasses import dataclass

from overlay.billing.closer import Closer
from overlay.billing.exporter import Exporter
from overlay.billing.ledger import Ledger
from overlay.billing.retention import Retention
from overlay.billing.sinks.configured import configured
from overlay.billing.witness import Witness
from overlay.daemon.base_parts import BaseParts
from overlay.daemon.record_parts import RecordParts
from overlay.records.call import CallEvent


@dataclass(frozen=True, kw_only=True)
class BillingParts:
    """One node's."""

    retention: Retention
    exporter: Exporter
    closer: Closer
    witness: Witness
    ledger: Ledger


def build_billing(base: BaseParts, records: RecordParts) -> BillingParts:
    """Make them, and have them told of call events."""
    own_id, committer, now_ms = base.own_id, base.committer, base.now_ms
    exporter = Exporter(
        own_id=own_id,
        node=base.own.name,
        sinks=configured(base.config),
        placement=records.placement,
        committer=committer,
        spreader=records.spreader,
        tick=base.clock.tick,
        now_ms=now_ms,
        chance=base.parts.chance,
    )
    closer = Closer(
        own_id, base.config.billing, records.placement, committer, records.events, now_ms
    )
    witness = Witness(own_id, lambda: base.renewal.identity.authority, now_ms)
    ledger = Ledger(
        lambda: base.renewal.identity,
        records.placement,
        committer,
        records.spreader,
        witness,
        base.clock.tick,
        now_ms,
        base.incarnation,
    )

    def replica_stored(key: bytes, event: CallEvent) -> None:
        closer.open_calls.saw(key, event)
        witness.saw(event)

    records.replica.event_stored = replica_stored
    records.events.event_stored = closer.open_calls.saw
    records.events.took_on, records.events.gave_up = ledger.took_on, ledger.gave_up
    return BillingParts(
        retention=Retention(committer, base.horizon_us),
        exporter=exporter,
        closer=closer,
        witness=witness,
        ledger=ledger,
    )
