"""The parts that turn call events into bills: they sign, close, export, and delete expired calls.

In: the base parts and the record parts of a node. Out: these parts. Counterpart: `overlay.billing`
documents each of them.
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
    """The billing parts of one node."""

    retention: Retention
    exporter: Exporter
    closer: Closer
    witness: Witness
    ledger: Ledger


def build_billing(base: BaseParts, records: RecordParts, call_watch: CallWatch) -> BillingParts:
    """Make the billing parts."""
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
