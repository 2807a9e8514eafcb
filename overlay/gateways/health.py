"""The health of a gateway, by the answers to the last questions; pure.

In: whether a question was answered. Out: whether the gateway counts as down, and when to ask again.
Counterpart: `watching.py`.
"""

from typing import Final

import msgspec

ASK_EVERY_S: Final = 15.0
ASK_AGAIN_S: Final = 2.0
"""Wait after a first miss, while the gateway does not yet count as down."""
MISSES_MAX: Final = 2
"""Misses in a row after which a gateway counts as down."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The health of one gateway as this node sees it. A gateway that was never asked is well."""

    misses: int = 0
    """Unanswered questions in a row."""

    @property
    def down(self) -> bool:
        """Whether the gateway counts as down, so that calls try it last."""
        return self.misses >= MISSES_MAX

    @property
    def next_s(self) -> float:
        """How long to wait until the next question."""
        return ASK_AGAIN_S if self.misses == 1 else ASK_EVERY_S

    def after(self, *, answered: bool) -> "Health":
        """The health after one more question. A single answer makes the gateway well."""
        return Health() if answered else Health(misses=min(self.misses + 1, MISSES_MAX))
