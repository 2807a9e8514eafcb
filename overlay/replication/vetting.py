"""Admits only subscriber records that the operator signed.

In: encoded records, as peers and the CLI send them. Out: the record, or a `ForgedError`, which is
counted. Counterpart: `sipfarm subscriber`, which signs. A record is checked where it enters this
node, so the records in memory are all checked.
"""

import logging

import msgspec

from overlay.base.errors import ForgedError
from overlay.identity.operator import Operator
from overlay.observe.figures import total
from overlay.observe.part import Part
from overlay.records import subscriber
from overlay.records.names import RecordKind, key_of
from overlay.records.subscriber import Subscriber

log = logging.getLogger(__name__)


class Vetting(Part):
    """Checks the operator's signature under records, for one node."""

    FIGURES = (
        total(
            "sipfarm_records_forged_total",
            "Records refused as the operator had not signed them",
            lambda vetting: vetting.refused,
        ),
    )

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self.refused = 0

    def subscriber(self, key: bytes, body: bytes) -> Subscriber:
        """The record in `body`, which came as the record under `key`.

        Raises `ForgedError` if the operator did not sign it or if it is another subscriber's, and
        `msgspec.MsgspecError` if it is no record.
        """
        record = subscriber.decode(body)
        if key_of(RecordKind.SUBSCRIBER, record.aor) != key:
            raise self._forged("a subscriber record under another's key")
        if not self.signed(record):
            raise self._forged("a subscriber record without the operator's signature")
        return record

    def signed(self, record: Subscriber) -> bool:
        """Whether the operator signed this record."""
        data = subscriber.signed_part(record)
        return self._operator.has_signed(subscriber.PURPOSE, data, record.signature)

    def genuine(self, key: bytes, body: bytes) -> bool:
        """Whether `subscriber` accepts the record. A refused record is counted."""
        try:
            self.subscriber(key, body)
        except (ForgedError, msgspec.MsgspecError):
            return False
        return True

    def _forged(self, reason: str) -> ForgedError:
        self.refused += 1
        if self.refused.bit_count() == 1:
            # Log the refusals whose number is a power of two, so that a forger cannot fill the log.
            log.warning("refused %s (%d so far)", reason, self.refused)
        return ForgedError(reason)
