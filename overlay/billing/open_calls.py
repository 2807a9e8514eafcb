"""The calls of which this node is a replica and that have not ended, and when each becomes overdue.

In: events as they are stored, in any order, and each of them possibly more than once. Out: the
calls whose last proof of life is too old, and the number of open calls. Pure: no clock, no disk.
Counterpart: `closer.py`.

Repair brings events again: a node that was away when a call ended offers the call's beginning even
to nodes that have the end. So this module remembers the ends of calls, as many as it has room for.
If a proof of life may be older than an end that was forgotten, the call is in doubt until the
closer has looked at the disk.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from overlay.base import limit_hits
from overlay.base.limits import DOUBTFUL_CALLS_MAX, OPEN_CALLS_MAX
from overlay.records.call import PROOFS_OF_LIFE, CallEvent, EventKind

Dialog = tuple[bytes, frozenset[str]]
"""Call key and both tags."""

ENDS_REMEMBERED_MAX: Final = 10_000
TOGETHER: Final = 64
"""Events that are taken in together. If they came one by one, each would find the processor's
caches cold."""
_FOR_GOOD_US: Final = 1 << 62


def overdue_us(proof: CallEvent, grace_s: int, longest_s: int) -> int:
    """When the call with this last proof of life becomes overdue, Unix time in µs.

    A call with session refreshes dies with its session (RFC 4028 10). Of a call without them,
    nothing is known but that no call lasts longer than `longest_s`.
    """
    wait_s = proof.session_s + grace_s if proof.session_s else longest_s
    return proof.time_us + wait_s * 1_000_000


class _End(NamedTuple):
    until_us: int
    """A proof of life that is this old or older does not count."""
    time_us: int
    """When the call ended."""


@dataclass(kw_only=True)
class OpenCalls:
    """The open calls, by the time at which each becomes overdue."""

    grace_s: int
    longest_s: int
    calls_max: int = OPEN_CALLS_MAX
    _due_us: dict[Dialog, int] = field(default_factory=dict)
    _elsewhere: set[Dialog] = field(default_factory=set)
    """The dialogs in `_due_us` of which this node is no longer a replica."""
    _unsorted: list[Dialog] = field(default_factory=list)
    """The dialogs that `sort` still has to look at in this pass."""
    _ended: dict[Dialog, _End] = field(default_factory=dict)
    """Ends of dialogs, the one noted longest ago first."""
    _forgotten_us: int = -1
    """The time of the latest end among those that were forgotten."""
    _doubtful: dict[bytes, None] = field(default_factory=dict)
    _queue: list[tuple[int, bytes, tuple[str, ...]]] = field(default_factory=list)
    _fresh: list[tuple[bytes, CallEvent]] = field(default_factory=list)
    """Events not yet taken in; fewer than `TOGETHER`."""

    def __len__(self) -> int:
        self._take_in()
        return len(self._due_us) - len(self._elsewhere)

    def saw(self, key: bytes, event: CallEvent) -> None:
        """Take in an event that is stored here. Neither order nor repetition matters."""
        self._fresh.append((key, event))
        if len(self._fresh) >= TOGETHER:
            self._take_in()

    def settle(self, key: bytes, events: Iterable[CallEvent]) -> None:
        """Take these events as all that exist of a call, here and on other nodes."""
        self._take_in()
        self._doubtful.pop(key, None)
        dialogs: dict[Dialog, list[CallEvent]] = {}
        for event in events:
            dialogs.setdefault(_dialog(key, event), []).append(event)
        for dialog, found in dialogs.items():
            self._settle(dialog, found)
        if not dialogs:
            for dialog in self._of(key):
                self._drop(dialog)

    def doubtful(self, most: int) -> list[bytes]:
        """Keys of calls that have to be looked up and settled; `most` of them at most."""
        self._take_in()
        return [key for key, _ in zip(self._doubtful, range(most), strict=False)]

    def sort(self, most: int, is_mine: Callable[[bytes], bool]) -> bool:
        """Find out whether this node is still a replica of some calls; False when all were looked
        at.

        The end of a call goes to the nodes that are its replicas at that time. A node that was a
        replica only when the call began does not hear of the end, so it must not count the call.
        """
        self._take_in()
        self._unsorted = self._unsorted or list(self._due_us)
        batch, self._unsorted = self._unsorted[-most:], self._unsorted[:-most]
        for dialog in batch:
            if dialog not in self._due_us:
                continue
            if is_mine(dialog[0]):
                self._elsewhere.discard(dialog)
            else:
                self._elsewhere.add(dialog)
        return bool(self._unsorted)

    def overdue(self, now_us: int) -> list[bytes]:
        """Keys of the calls that are overdue. A call is named once, unless a later proof of life
        comes."""
        self._take_in()
        found: dict[bytes, None] = {}
        while self._queue and self._queue[0][0] <= now_us:
            due_us, key, tags = heapq.heappop(self._queue)
            dialog = (key, frozenset(tags))
            if self._due_us.get(dialog) == due_us:
                found[key] = None
        return list(found)

    def again(self, key: bytes, now_us: int, after_s: float) -> None:
        """Look at the open dialogs of this call again in `after_s`, as another node should close
        it."""
        self._take_in()
        due_us = now_us + int(after_s * 1e6)
        for dialog in self._of(key):
            self._await(dialog, due_us)

    # inner workings

    def _of(self, key: bytes) -> list[Dialog]:
        return [each for each in self._due_us if each[0] == key]

    def _take_in(self) -> None:
        fresh, self._fresh = self._fresh, []
        for key, event in fresh:
            self._take(key, event)

    def _take(self, key: bytes, event: CallEvent) -> None:
        dialog = _dialog(key, event)
        if event.kind is EventKind.STOP:
            self._end(dialog, _FOR_GOOD_US, event.time_us)
        elif event.kind is EventKind.CLOSED:
            self._end(dialog, event.time_us, event.time_us)
            # The event closed nothing if there was a later proof of life.
            self._doubt(key)
        elif event.kind in PROOFS_OF_LIFE and self._counts(dialog, event):
            known = self._due_us.get(dialog)
            due_us = overdue_us(event, self.grace_s, self.longest_s)
            is_new = event.kind is EventKind.START and event.time_us > self._forgotten_us
            if known is None and not is_new and dialog not in self._ended:
                self._doubt(key)
            elif known is None or due_us > known:
                self._await(dialog, due_us)

    def _settle(self, dialog: Dialog, events: list[CallEvent]) -> None:
        stops_us = [event.time_us for event in events if event.kind is EventKind.STOP]
        closed_us = max((e.time_us for e in events if e.kind is EventKind.CLOSED), default=-1)
        proof = max(
            (event for event in events if event.kind in PROOFS_OF_LIFE),
            key=lambda event: event.time_us,
            default=None,
        )
        if stops_us:
            self._end(dialog, _FOR_GOOD_US, max(stops_us))
        elif proof is not None and closed_us >= proof.time_us:
            self._end(dialog, closed_us, closed_us)
        elif proof is None or all(event.kind is not EventKind.START for event in events):
            # Nothing can be said of a call whose beginning no node has.
            return
        elif self._counts(dialog, proof):
            self._await(dialog, overdue_us(proof, self.grace_s, self.longest_s))

    def _counts(self, dialog: Dialog, proof: CallEvent) -> bool:
        """Whether this proof of life is later than any known end of the call."""
        end = self._ended.get(dialog)
        return end is None or proof.time_us > end.until_us

    def _doubt(self, key: bytes) -> None:
        if len(self._doubtful) < DOUBTFUL_CALLS_MAX:
            self._doubtful[key] = None
        else:
            limit_hits.hit("DOUBTFUL_CALLS_MAX")

    def _await(self, dialog: Dialog, due_us: int) -> None:
        known = self._due_us.get(dialog)
        if known is None and len(self._due_us) >= self.calls_max:
            limit_hits.hit("OPEN_CALLS_MAX")
        elif known != due_us:
            self._due_us[dialog] = due_us
            heapq.heappush(self._queue, (due_us, dialog[0], tuple(sorted(dialog[1]))))

    def _drop(self, dialog: Dialog) -> None:
        self._due_us.pop(dialog, None)
        self._elsewhere.discard(dialog)

    def _end(self, dialog: Dialog, until_us: int, time_us: int) -> None:
        """Note that the call ended at `time_us`. No proof of life up to `until_us` counts."""
        before = self._ended.pop(dialog, None)
        end = _End(until_us=until_us, time_us=time_us)
        self._ended[dialog] = max(end, before) if before is not None else end
        self._drop(dialog)
        if len(self._ended) > ENDS_REMEMBERED_MAX:
            forgotten = self._ended.pop(next(iter(self._ended)))
            self._forgotten_us = max(self._forgotten_us, forgotten.time_us)


def _dialog(key: bytes, event: CallEvent) -> Dialog:
    return (key, frozenset((event.from_tag, event.to_tag)))
