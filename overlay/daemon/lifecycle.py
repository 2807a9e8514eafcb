"""Starts parts in order, and stops them in the opposite order.

In: parts. Out: all of them run, or none does. Counterpart: `node.py` decides the order.
"""

import logging

from overlay.observe.part import Part

log = logging.getLogger(__name__)


class Lifecycle:
    """The parts of a node that were started, or whose start failed."""

    def __init__(self) -> None:
        self._begun: list[Part] = []

    @property
    def begun(self) -> tuple[Part, ...]:
        """These parts, in the order of their start."""
        return tuple(self._begun)

    async def start(self, *parts: Part) -> None:
        """Start the parts one after the other. If a start raises, no more parts are started, and
        the error is raised."""
        for part in parts:
            # Noted before the start: a start that fails may have taken something that only `stop`
            # gives back.
            self._begun.append(part)
            await part.start()

    async def stop(self) -> None:
        """Stop the parts, the last one first. If one fails, the others are stopped all the same.

        Raises the first failure when all are stopped.
        """
        failures: list[Exception] = []
        while self._begun:
            part = self._begun.pop()
            try:
                await part.stop()
            except Exception as failure:
                log.exception("%s did not stop in order", type(part).__name__)
                failures.append(failure)
        if failures:
            raise failures[0]
