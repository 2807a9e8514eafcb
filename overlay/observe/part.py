"""What every part of the daemon has: it starts, it stops, and it shows figures.

In: nothing. Out: the interface that `overlay.daemon` loops over. Counterpart: a part that answers
requests of other nodes is an `overlay.links.peer_part.PeerPart`, too.
"""

from typing import ClassVar

from overlay.observe.figures import Figures


class Part:
    """One part of a node. A part that has nothing to do at one of these moments inherits it."""

    FIGURES: ClassVar[Figures] = ()
    """What Prometheus is shown of this part."""

    async def start(self) -> None:
        """Begin to work; raises a `SipfarmError` or `OSError` if that is not possible."""

    async def stop(self) -> None:
        """End every task and give back what the part holds.

        This works at any time: before the start, after one that failed, and twice.
        """
