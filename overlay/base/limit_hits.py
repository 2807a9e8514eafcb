"""Counts how often the bounds of `base/limits.py` were hit.

In: the name of a bound, from the code that enforces it. Out: a sum for each bound, over the whole
process. Counterparts: `overlay.observe.metrics` shows the sums; DESIGN.md says what happens at each
bound.
"""

from collections import Counter

from overlay.base import limits

_hits: Counter[str] = Counter()


def hit(limit: str) -> None:
    """Count one hit of the bound that has this name in `base/limits.py`."""
    assert hasattr(limits, limit), limit
    _hits[limit] += 1


def counted() -> dict[str, int]:
    """How often each bound was hit, by name. A bound that was never hit is left out."""
    return dict(_hits)
