"""What a sink is, to `overlay.billing.exporter`.

A sink takes rows in batches. When `take` returns, all of them are safe there; when it raises, any
of them may be there and all will come again: rows have stable ids, so that is no harm.
"""

from collections.abc import Sequence
from typing import Protocol

from overlay.base.errors import SipfarmError
from overlay.billing.columns import BilledRow


class SinkError(SipfarmError):
    """The sink did not take the rows; the text says why."""


class Sink(Protocol):
    """A place for rows."""

    @property
    def name(self) -> str:
        """The same as long as the sink is the same place: progress is kept under it."""
        ...

    async def take(self, rows: Sequence[BilledRow]) -> None:
        """Make the rows safe there; raises `SinkError`."""
        ...

    async def tick(self) -> None:
        """Called every second or so, rows or not; raises `SinkError`."""
        ...

    async def close(self) -> None:
        """Finish what is open."""
        ...
