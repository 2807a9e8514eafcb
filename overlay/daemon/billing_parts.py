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
from overlay.daemon.call_watch import CallWatch
from overlay.daemon.record_parts import RecordParts


@dataclass(frozen=True, kw_only=True)
class BillingParts:
    """One node's."""

    retention: Retention
    exporter: Exporter
    closer: Closer
    witness: Witness
    ledger: Ledger


def build_billing(base: BaseParts, records: RecordParts, call_watch: CallWatch) -> BillingParts:
    """Make them."""
    billing, committer, now_ms = base.config.billing, base.committer, base.now_ms
    return BillingParts(
        retention=Retention(committer, base.horizon_us),
        exporter=Exporter(
            node=base.own.name,
            sinks=configured(base.config),
            replicas=records.replicas,
            committer=committer,
            tick=base.clock.tick,
            now_ms=now_ms,
            chance=base.parts.chance,
        ),
        closer=Closer(
            billing, records.replicas, committer, records.events, call_watch.open_calls, now_ms
        ),
        witness=call_watch.witness,
        ledger=records.ledger,
    )
