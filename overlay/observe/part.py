"""The interface that every part of the daemon has: it starts, it stops, and it shows figures.

In: nothing. Out: the interface that `overlay.daemon` loops over. Counterpart: a part that answers
requests of other nodes is also an `overlay.links.peer_part.PeerPart`.
"""

from typing import ClassVar

from overlay.observe.figures import Figures


class Part:
    """One part of a node. A method that a part has no use for is inherited, and does nothing."""

    FIGURES: ClassVar[Figures] = ()
    """The figures of this part that Prometheus sees."""

    async def start(self) -> None:
        """Begin to work; raises a `SipfarmError` or `OSError` if that is not possible."""

    async def stop(self) -> None:
        """End every task, and give back all that the part holds.

        This works at any time: before the start, after a start that failed, and twice.
        """
