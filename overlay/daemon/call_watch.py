"""Shows each call event on this node's disk to the parts that watch calls, whichever node wrote it.

In: events, as the replica stores them. Out: calls without an end, and chains that a block has to
vouch for. Counterparts: `overlay.billing.closer` and `overlay.billing.ledger` act on them.
"""

from overlay.billing.open_calls import OpenCalls
from overlay.billing.witness import Witness
from overlay.daemon.base_parts import BaseParts
from overlay.records.call import CallEvent


class CallWatch:
    """The call watch of one node."""

    def __init__(self, base: BaseParts) -> None:
        billing = base.config.billing
        self.open_calls = OpenCalls(grace_s=billing.close_grace_s, longest_s=billing.call_max_s)
        self.witness = Witness(base.own_id, lambda: base.renewal.identity.authority, base.now_ms)

    def saw(self, key: bytes, event: CallEvent) -> None:
        """The event, of the call with this key, is on the disk."""
        self.open_calls.saw(key, event)
        self.witness.saw(event)
