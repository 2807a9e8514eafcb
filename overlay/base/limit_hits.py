"""Counts how often the bounds of `base/limits.py` were hit.

In: the name of a bound, from whoever keeps to it. Out: a sum for each, all of this process.
Counterparts: `overlay.observe.metrics` shows them; DESIGN.md says what each of them does.
"""

from collections import Counter

from overlay.base import limits

_hits: Counter[str] = Counter()


def hit(limit: str) -> None:
    """A bound of this name in `base/limits.py` was hit."""
    assert hasattr(limits, limit), limit
    _hits[limit] += 1


def counted() -> dict[str, int]:
    """How often each was hit; those that never were are not there."""
    return dict(_hits)
