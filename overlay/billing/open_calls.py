"""Calls of which this node is a replica and that have not ended, and when each is overdue.

In: events as they are stored. Out: the calls whose last proof of life is too long ago. Pure: no
clock, no disk. Counterpart: `closer.py`.
"""

import heapq
from dataclasses import dataclass, field

from overlay.base import limit_hits
from overlay.base.limits import OPEN_CALLS_MAX
from overlay.records.call import PROOFS_OF_LIFE, CallEvent, EventKind

Dialog = tuple[bytes, frozenset[str]]
"""Call key and both tags."""

ENDS_REMEMBERED_MAX = 10_000
TOGETHER = 64
"""Events that are taken in at once. One by one, each finds the processor's caches cold."""
_ENDS = (EventKind.STOP, EventKind.CLOSED)


def overdue_us(proof: CallEvent, grace_s: int, longest_s: int) -> int:
    """When a call is overdue whose last proof of life this is, Unix time.

    A call that is refreshed dies with its session (RFC 4028 10); of one that is not, nothing can be
    known but that no call lasts for longer than `longest_s`.
    """
    wait_s = proof.session_s + grace_s if proof.session_s else longest_s
    return proof.time_us + wait_s * 1_000_000


@dataclass(kw_only=True)
class OpenCalls:
    """The open calls, by the time at which they are overdue."""

    grace_s: int
    longest_s: int
    calls_max: int = OPEN_CALLS_MAX
    _due_us: dict[Dialog, int] = field(default_factory=dict)
    _ended: dict[Dialog, None] = field(default_factory=dict)
    """Ends that came before their START, the oldest first."""
    _queue: list[tuple[int, bytes, tuple[str, ...]]] = field(default_factory=list)
    _fresh: list[tuple[bytes, CallEvent]] = field(default_factory=list)
    """Events not yet taken in; fewer than `TOGETHER`."""

    def __len__(self) -> int:
        self._take_in()
        return len(self._due_us)

    def saw(self, key: bytes, event: CallEvent) -> None:
        """An event is stored here; the order does not matter."""
        self._fresh.append((key, event))
        if len(self._fresh) >= TOGETHER:
            self._take_in()

    def overdue(self, now_us: int) -> list[bytes]:
        """Keys of calls that are overdue; each is named once, unless it is seen to live again."""
        self._take_in()
        found: dict[bytes, None] = {}
        while self._queue and self._queue[0][0] <= now_us:
            due_us, key, tags = heapq.heappop(self._queue)
            dialog = (key, frozenset(tags))
            if self._due_us.get(dialog) == due_us:
                found[key] = None
        return list(found)

    def again(self, key: bytes, now_us: int, after_s: float) -> None:
        """Look at the open dialogs of this call again, as somebody else should have closed it."""
        self._take_in()
        due_us = now_us + int(after_s * 1e6)
        for dialog in [each for each in self._due_us if each[0] == key]:
            self._await(dialog, due_us)

    def _take_in(self) -> None:
        fresh, self._fresh = self._fresh, []
        for key, event in fresh:
            self._take(key, event)

    def _take(self, key: bytes, event: CallEvent) -> None:
        dialog = (key, frozenset((event.from_tag, event.to_tag)))
        if event.kind in _ENDS:
            if self._due_us.pop(dialog, None) is None and event.kind is EventKind.STOP:
                self._remember_end(dialog)
        elif event.kind in PROOFS_OF_LIFE and dialog not in self._ended:
            due_us = overdue_us(event, self.grace_s, self.longest_s)
            if due_us > self._due_us.get(dialog, 0):
                self._await(dialog, due_us)

    def _await(self, dialog: Dialog, due_us: int) -> None:
        if dialog not in self._due_us and len(self._due_us) >= self.calls_max:
            limit_hits.hit("OPEN_CALLS_MAX")
            return
        self._due_us[dialog] = due_us
        heapq.heappush(self._queue, (due_us, dialog[0], tuple(sorted(dialog[1]))))

    def _remember_end(self, dialog: Dialog) -> None:
        self._ended[dialog] = None
        if len(self._ended) > ENDS_REMEMBERED_MAX:
            del self._ended[next(iter(self._ended))]
