"""How a gateway is, by what came back of the last questions; pure.

In: whether a question was answered. Out: whether the gateway counts as down, and when to ask again.
Counterpart: `watching.py`.
"""

from typing import Final

import msgspec

ASK_EVERY_S: Final = 15.0
ASK_AGAIN_S: Final = 2.0
"""After a first miss, when it is not yet down."""
MISSES_MAX: Final = 2
"""In a row, until a gateway counts as down."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Of one gateway, as this node sees it; one that was never asked counts as well."""

    misses: int = 0
    """In a row."""

    @property
    def down(self) -> bool:
        """Whether calls try it last."""
        return self.misses >= MISSES_MAX

    @property
    def next_s(self) -> float:
        """How long to wait until the next question."""
        return ASK_AGAIN_S if self.misses == 1 else ASK_EVERY_S

    def after(self, *, answered: bool) -> "Health":
        """One answer makes it well."""
        return Health() if answered else Health(misses=min(self.misses + 1, MISSES_MAX))
