"""In which order the targets of a call are tried (RFC 3261 16.6), and what is left to try.

In: the targets of an address-of-record. Out: groups with the same q, the highest first: those of a
group ring together, and the next group when nobody of it answered. Counterpart: `routes/relay.py`,
which keeps the plan with the call's pin, as any worker may hear of the failures.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from overlay import decoding
from overlay.control.messages import Target

MAX_BREADTH_DEFAULT: Final = 60
"""How many branches a request may have at a time that does not say so (RFC 5393 5.3.3.1)."""


class ForkPlan(msgspec.Struct, frozen=True, array_like=True):
    """A fork that is under way."""

    sent: tuple[Target, ...]
    """What was tried, by branch."""
    later: tuple[tuple[Target, ...], ...] = ()
    """What is tried when all of that has failed, a group after the other."""

    @property
    def watched(self) -> bool:
        """Whether a branch's failure matters before all have failed."""
        return bool(self.later) or any(target.backups for target in self.sent)


_encode = msgspec.json.Encoder().encode
_decode = decoding.json(ForkPlan)


def encode(plan: ForkPlan) -> str:
    """The plan as text without NULs."""
    return _encode(plan).decode()


def decode(text: str) -> ForkPlan | None:
    """The plan of `encode`; None for anything else."""
    try:
        plan: ForkPlan = _decode(text)
    except msgspec.MsgspecError:
        return None
    return plan


def groups(targets: Sequence[Target]) -> tuple[tuple[Target, ...], ...]:
    """The targets by q, the highest first; within a group as they came."""
    ranked = sorted(targets, key=lambda target: -target.q)
    return tuple(tuple(group) for _, group in groupby(ranked, key=lambda target: target.q))


def breadth(field: str | None) -> int:
    """The value of a Max-Breadth header field (RFC 5393 5.3.3); the default for none, or for what
    is no number."""
    if field is None or not field.strip().isascii() or not field.strip().isdigit():
        return MAX_BREADTH_DEFAULT
    return min(int(field.strip()[:6]), MAX_BREADTH_DEFAULT)


def shares(whole: int, branches: int) -> tuple[int, ...]:
    """How much of the breadth each branch gets: at least 1, all of them together no more than
    there is; none when there is too little."""
    if branches < 1 or whole < branches:
        return ()
    each, more = divmod(whole, branches)
    return tuple(each + (number < more) for number in range(branches))
