"""Compares the call events of the whole farm with what their nodes have signed.

In: blocks and events, as each node keeps them. Out: the events and blocks that were altered,
removed or added, by name. Pure. Counterparts: `chain.py`; `sipfarm cdr verify` reads the copies.

A caller passes all blocks, then all events, and then calls `finish`. An event counts as signed if a
block of the node that the event names has the event's digest. Events that a node wrote in its last
seconds before it died are in no block, and neither are events that fall between two blocks in time.
The audit reports such events, but not as faults.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
from cryptography import x509

from overlay.base.errors import IdentityError
from overlay.billing import chain
from overlay.billing.chain import Block, Seen
from overlay.records.call import CallEvent, EventKind

_NOT_SIGNED = (EventKind.CHAINED, EventKind.EXPORTED)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that the audit found."""

    kind: str
    """`altered`, `missing`, `unchained` (an event that no block has, though one should);
    `block-invalid`, `block-missing` (a block between two others, or one that another node vouches
    for), `block-order` (a block that is not bound to the one before), `block-forked` (two blocks
    with one number that the same node signed, or a block other than the one that another node
    vouches for)."""
    node: str
    """The node that wrote the event or signed the block."""
    what: str
    """The event's id in hex, or the chain and number of the block."""
    call_id: str = ""
    held_by: tuple[str, ...] = ()
    """The nodes that keep the copy; empty if no node does."""


@dataclass(kw_only=True)
class Audit:
    """One comparison, of the events from `since_us` to before `until_us`."""

    authority: x509.Certificate
    """The certificate of the farm's CA."""
    since_us: int
    until_us: int
    findings: dict[Finding, None] = field(default_factory=dict)
    unsigned: dict[str, dict[str, None]] = field(default_factory=dict)
    """By node: the ids of events that no block claims to have."""
    events: int = 0
    blocks: int = 0
    _blocks: dict[tuple[bytes, int], dict[int, tuple[bytes, Block]]] = field(default_factory=dict)
    _vouched: dict[tuple[bytes, int, int], tuple[str, set[bytes]]] = field(default_factory=dict)
    """By node id, chain and number: the name of the node, and the heads of the block that other
    nodes have seen."""
    _heard_all: bool = False
    _entries: dict[bytes, set[tuple[str, bytes]]] = field(default_factory=dict)
    _wanted: dict[bytes, str] = field(default_factory=dict)
    """Signed events of the time in question that no node has shown yet: their ids, with their
    nodes."""
    _withdrawn: set[bytes] = field(default_factory=set)
    _spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """By node: the times by the hybrid logical clock of which its blocks claim to have every
    event."""
    _met: set[bytes] = field(default_factory=set)

    def block(self, event: CallEvent, held_by: tuple[str, ...]) -> None:
        """Take in one copy of a block."""
        if event.kind is not EventKind.CHAINED:
            return
        try:
            block, head = chain.of_event(event, self.authority)
        except IdentityError as error:
            self._found("block-invalid", event.node, f"{event.call_id}: {error}", held_by=held_by)
            return
        if not self._heard_all:
            for seen in block.seen:
                self._vouch(seen)
        numbers = self._blocks.setdefault((block.node_id, block.chain), {})
        known = numbers.get(block.number)
        if known is not None:
            if known[0] != head:
                self._found("block-forked", block.node, _name(block), held_by=held_by)
            return
        numbers[block.number] = (head, block)
        self.blocks += 1
        self._spans.setdefault(block.node, []).append((block.after, block.until))
        self._withdrawn.update(block.withdrawn)
        for each in block.entries:
            self._entries.setdefault(each.event_id, set()).add((block.node, each.digest))
            if self.since_us <= each.time_us < self.until_us:
                self._wanted[each.event_id] = block.node

    def lacking(self) -> bool:
        """Whether a block is missing from the copies although another node vouches for it.

        The block may have arrived while the copies were read. So the caller then passes all blocks
        once more; what they vouch for no longer counts that time.
        """
        self._heard_all = True
        return any(self._held(*name) is None for name in self._vouched)

    def all_blocks(self) -> None:
        """Compare the blocks with each other: all of them were passed."""
        for (node_id, number_of_chain, number), (node, heads) in self._vouched.items():
            what = f"chain {number_of_chain} block {number}"
            held = self._held(node_id, number_of_chain, number)
            if held is None:
                self._found("block-missing", node, what)
            elif heads - {held}:
                self._found("block-forked", node, what)
        for numbers in self._blocks.values():
            self._look_at_chain([numbers[number] for number in sorted(numbers)])
        for spans in self._spans.values():
            spans.sort()

    def event(self, event: CallEvent, held_by: tuple[str, ...]) -> None:
        """Take in one version of an event, and the nodes that keep it."""
        if event.kind in _NOT_SIGNED:
            return
        self._wanted.pop(event.event_id, None)
        in_time = self.since_us <= event.time_us < self.until_us
        if not in_time and event.event_id not in self._entries:
            # It was only read because another event of its call is in the time.
            return
        if event.event_id not in self._met:
            self._met.add(event.event_id)
            self.events += 1
        signed = self._entries.get(event.event_id)
        what = event.event_id.hex()
        if signed is not None:
            if (event.node, chain.digest(event)) not in signed:
                nodes = " ".join(sorted({node for node, _ in signed}))
                self._found("altered", nodes, what, event.call_id, held_by)
        elif self._should_be_signed(event):
            self._found("unchained", event.node, what, event.call_id, held_by)
        else:
            self.unsigned.setdefault(event.node, {})[what] = None

    def finish(self) -> None:
        """Report the signed events that no node showed: all events were passed."""
        for event_id, node in self._wanted.items():
            if event_id not in self._withdrawn:
                self._found("missing", node, event_id.hex())
        self._wanted.clear()

    # inner workings

    def _vouch(self, seen: Seen) -> None:
        # Blocks from before that time were not read, or have expired.
        if seen.time_us >= self.since_us:
            name = (seen.node_id, seen.chain, seen.number)
            self._vouched.setdefault(name, (seen.node, set()))[1].add(seen.head)

    def _held(self, node_id: bytes, number_of_chain: int, number: int) -> bytes | None:
        found = self._blocks.get((node_id, number_of_chain), {}).get(number)
        return None if found is None else found[0]

    def _look_at_chain(self, found: Sequence[tuple[bytes, Block]]) -> None:
        for (head, before), (_, after) in pairwise(found):
            for number in range(before.number + 1, after.number):
                lost = msgspec.structs.replace(after, number=number)
                self._found("block-missing", after.node, _name(lost))
            if after.number == before.number + 1 and after.previous != head:
                self._found("block-order", after.node, _name(after))

    def _should_be_signed(self, event: CallEvent) -> bool:
        spans = self._spans.get(event.node, [])
        begin = bisect_left(spans, (event.changed, 0))
        # The blocks of one run follow each other. Two overlap only if the clock went back.
        near = spans[max(0, begin - 1) : bisect_right(spans, (event.changed, 1 << 70))]
        return any(after < event.changed <= until for after, until in near)

    def _found(
        self,
        kind: str,
        node: str,
        what: str,
        call_id: str = "",
        held_by: tuple[str, ...] = (),
    ) -> None:
        finding = Finding(kind=kind, node=node, what=what, call_id=call_id, held_by=held_by)
        self.findings[finding] = None


def _name(block: Block) -> str:
    return f"chain {block.chain} block {block.number}"
