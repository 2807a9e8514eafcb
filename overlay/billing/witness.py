"""Remembers how far other nodes' chains go, so that this node's next block can vouch for them.

In: blocks of other nodes, of which this node stores a replica. Out: the last head of each chain
that moved since this node's last block. Counterparts: `ledger.py` puts the heads into a block;
`audit.py` reports blocks that are missing although another node's block vouches for them.

    n1's block 7 ─► stored here ─► n2's block 12: "n1 has 7, and this is its head"

Somebody who cuts off the end of n1's chain on all its replicas would have to remove n2's block,
too. But n2's next block, and blocks of other nodes, show that n2's block is missing.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from cryptography import x509

from overlay.base.errors import IdentityError
from overlay.base.limits import CHAINS_SEEN_MAX
from overlay.billing import chain
from overlay.billing.chain import Seen
from overlay.records.call import CallEvent, EventKind

RECENT_US: Final = 600_000_000
"""Older blocks come from repair. The node that stored them first has vouched for them."""


class Witness:
    """The heads that one node has seen and not yet vouched for."""

    def __init__(
        self,
        own_id: bytes,
        authority: Callable[[], x509.Certificate | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._own_id = own_id
        self._authority = authority
        self._now_ms = now_ms
        self._seen: OrderedDict[tuple[bytes, int], Seen] = OrderedDict()
        self._unsaid: dict[tuple[bytes, int], bool] = {}
        """Chains that moved; True if a block with events is among the new ones."""

    @property
    def calls_for_a_block(self) -> bool:
        """Whether the heads are reason enough for making a block.

        Blocks that only vouch are no reason, or idle nodes would make blocks for each other for
        ever.
        """
        return any(self._unsaid.values())

    def saw(self, event: CallEvent) -> None:
        """Take in an event that is stored here; only blocks matter."""
        if event.kind is not EventKind.CHAINED:
            return
        authority = self._authority()
        age_us = self._now_ms() * 1000 - event.time_us
        if authority is None or age_us > RECENT_US:
            return
        try:
            block, head = chain.of_event(event, authority)
        except IdentityError:
            # The audit reports an invalid block.
            return
        name = (block.node_id, block.chain)
        known = self._seen.get(name)
        if block.node_id == self._own_id or (known is not None and known.number >= block.number):
            return
        self._seen[name] = Seen(
            node_id=block.node_id,
            node=block.node,
            chain=block.chain,
            number=block.number,
            head=head,
            time_us=event.time_us,
        )
        self._seen.move_to_end(name)
        has_events = bool(block.entries or block.withdrawn)
        self._unsaid[name] = has_events or self._unsaid.get(name, False)
        if len(self._seen) > CHAINS_SEEN_MAX:
            oldest, _ = self._seen.popitem(last=False)
            self._unsaid.pop(oldest, None)

    def news(self) -> tuple[Seen, ...]:
        """The heads that the next block should vouch for."""
        return tuple(self._seen[name] for name in self._unsaid)

    def said(self, news: tuple[Seen, ...]) -> None:
        """Note that a block that vouches for these heads is on this node's disk."""
        for each in news:
            name = (each.node_id, each.chain)
            if self._seen.get(name) == each:
                self._unsaid.pop(name, None)
