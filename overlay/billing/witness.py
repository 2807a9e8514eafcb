"""Remembers how far other nodes' chains go, so that this node's next block can vouch for it.

In: blocks of other nodes, as this node has stored them for them. Out: the last head of each chain
that moved since this node's last block. Counterparts: `ledger.py` puts them into a block;
`audit.py` misses blocks that a block of another node vouches for.

    n1's block 7 ─► stored here ─► n2's block 12: "n1 has 7, and this is its head"

Whoever cuts off the end of n1's chain at all its replicas would have to take n2's block as well,
which n2's next one, and those of others, miss.
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
"""Older blocks come from repair: whoever stored them first has vouched for them."""


class Witness:
    """One node's."""

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
        """Chains that moved; True if a block with events is among what is new."""

    @property
    def calls_for_a_block(self) -> bool:
        """Whether a block has to be made for it. Blocks that only vouch do not call for more, or
        idle nodes would go on for ever."""
        return any(self._unsaid.values())

    def saw(self, event: CallEvent) -> None:
        """An event is stored here."""
        if event.kind is not EventKind.CHAINED:
            return
        authority = self._authority()
        age_us = self._now_ms() * 1000 - event.time_us
        if authority is None or age_us > RECENT_US:
            return
        try:
            block, head = chain.of_event(event, authority)
        except IdentityError:
            # What is no block is for the audit to name.
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
        """What the next block shall vouch for."""
        return tuple(self._seen[name] for name in self._unsaid)

    def said(self, news: tuple[Seen, ...]) -> None:
        """A block that vouches for these is on this disk."""
        for each in news:
            name = (each.node_id, each.chain)
            if self._seen.get(name) == each:
                self._unsaid.pop(name, None)
