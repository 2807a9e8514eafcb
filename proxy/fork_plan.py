"""The order in which the targets of a call are tried (RFC 3261 16.6), and what is left to try.

In: the targets of an address-of-record. Out: groups of targets with the same q, the highest q
first. The phones of a group ring together; the next group's turn comes when none of them answered.
Counterpart: `routes/fork.py`, which keeps the plan with the call's pin, as any worker may hear of
the failures.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from overlay.base import decoding
from overlay.records.targets import Target

MAX_BREADTH_DEFAULT: Final = 60
"""How many branches a request without Max-Breadth may have at a time (RFC 5393 5.3.3.1)."""


class ForkPlan(msgspec.Struct, frozen=True, array_like=True):
    """The state of a fork that is under way."""

    sent: tuple[Target, ...]
    """The targets that were tried, by branch."""
    later: tuple[tuple[Target, ...], ...] = ()
    """The groups that are tried when all of `sent` has failed, one after the other."""

    @property
    def watched(self) -> bool:
        """Whether the failure of one branch matters before all branches have failed."""
        return bool(self.later) or any(target.backups for target in self.sent)


_encode = msgspec.json.Encoder().encode
_decode = decoding.json(ForkPlan)


def encode(plan: ForkPlan) -> str:
    """The plan as text without NULs."""
    return _encode(plan).decode()


def decode(text: str) -> ForkPlan | None:
    """The plan that `encode` was given; None for anything else."""
    try:
        plan: ForkPlan = _decode(text)
    except msgspec.MsgspecError:
        return None
    return plan


def groups(targets: Sequence[Target]) -> tuple[tuple[Target, ...], ...]:
    """The targets by q, the highest first; in a group they keep their order."""
    ranked = sorted(targets, key=lambda target: -target.q)
    return tuple(tuple(group) for _, group in groupby(ranked, key=lambda target: target.q))


def breadth(field: str | None) -> int:
    """The value of a Max-Breadth header field (RFC 5393 5.3.3); the default if there is no field,
    or its value is no number."""
    if field is None or not field.strip().isascii() or not field.strip().isdigit():
        return MAX_BREADTH_DEFAULT
    return min(int(field.strip()[:6]), MAX_BREADTH_DEFAULT)


def shares(whole: int, branches: int) -> tuple[int, ...]:
    """How much of the breadth `whole` each branch gets: at least 1 each, and no more than `whole`
    in all; empty if `whole` is too little for that."""
    if branches < 1 or whole < branches:
        return ()
    each, more = divmod(whole, branches)
    return tuple(each + (number < more) for number in range(branches))
