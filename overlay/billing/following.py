"""Finds the billing records that are new or changed, in calls that are read again and again.

In: the events of calls as they are now. Out: the records that were not yet reported in this form.
Pure. Counterpart: `sipfarm cdr tail`, which reads the calls with an event in the last seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from overlay.base.limits import RECORDS_FOLLOWED_MAX
from overlay.billing.columns import record_id
from overlay.records import call
from overlay.records.assemble import assemble, involves
from overlay.records.call import CallEvent
from overlay.records.call_record import CallRecord


@dataclass(kw_only=True)
class Following:
    """The billing records that were reported so far."""

    subscriber: str = ""
    """If not empty, only records with this address-of-record on either side are reported."""
    _told: dict[str, frozenset[str]] = field(default_factory=dict)
    """Event ids of the records that were reported, the record reported longest ago first."""

    def news(self, copies: Iterable[tuple[CallEvent, tuple[str, ...]]]) -> list[CallRecord]:
        """The new or changed records that these events make, in order of time."""
        calls: dict[str, list[CallEvent]] = {}
        holders: dict[str, dict[str, None]] = {}
        for event, held_by in copies:
            calls.setdefault(event.call_id, []).append(event)
            holders.setdefault(event.call_id, {}).update(dict.fromkeys(held_by))
        found = []
        for call_id, events in calls.items():
            for record in assemble(call.merge(events, ()), tuple(holders[call_id])):
                if self.subscriber and not involves(record, self.subscriber):
                    continue
                if self._is_new(record):
                    found.append(record)
        return sorted(found, key=lambda record: record.end_us or record.answer_us)

    def _is_new(self, record: CallRecord) -> bool:
        identity = record_id(record)
        before = self._told.pop(identity, frozenset())
        # A node that lost sight of others has fewer events than were reported before: that is no
        # change.
        self._told[identity] = before.union(record.event_ids)
        if len(self._told) > RECORDS_FOLLOWED_MAX:
            del self._told[next(iter(self._told))]
        return len(self._told[identity]) > len(before)
