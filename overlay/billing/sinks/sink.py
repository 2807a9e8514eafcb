"""The interface between a sink and `overlay.billing.exporter`.

A sink takes rows in batches. When `take` returns, all rows are safe in the sink. When it raises,
any of them may be there, and all will come again. Rows have stable ids, so that does no harm.
"""

from collections.abc import Sequence
from typing import Protocol

from overlay.base.errors import SipfarmError
from overlay.billing.columns import BilledRow


class SinkError(SipfarmError):
    """The sink did not take the rows; the text says why."""


class Sink(Protocol):
    """A place that takes rows."""

    @property
    def name(self) -> str:
        """Name of the sink. It stays the same as long as the place is the same, as progress is kept
        under it."""
        ...

    async def take(self, rows: Sequence[BilledRow]) -> None:
        """Make the rows safe in the sink; raises `SinkError`."""
        ...

    async def tick(self) -> None:
        """Called about every second, with or without rows; raises `SinkError`."""
        ...

    async def close(self) -> None:
        """Finish what is open."""
        ...
