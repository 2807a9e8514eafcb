"""Dials other nodes, a bounded number at a time.

In: the addresses to dial, and the node expected there. Out: links, through the transport; failures.
Counterpart: `membership.py` decides which nodes are dialled, and when.
"""

import asyncio
import logging
from collections.abc import Callable

from overlay.base import tasks
from overlay.base.errors import IdentityError, UnavailableError
from overlay.base.limits import DIALS_MAX
from overlay.links.network import Transport

log = logging.getLogger(__name__)

OnDialFailed = Callable[[bytes, bool], None]
"""Called with the id of a node that could not be reached, and whether its host refused the
connection."""


class Dialler:
    """The dials of one node."""

    def __init__(self, transport: Transport, timeout_s: float, failed: OnDialFailed) -> None:
        self._transport = transport
        self._timeout_s = timeout_s
        self._failed = failed
        self._under_way: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(DIALS_MAX)

    def dial(self, host: str, port: int, node_id: bytes | None) -> None:
        """Link to this address, unless a dial to it is under way. `node_id`: the node expected
        there; None accepts any.

        If too many dials are under way, nothing happens, as the caller will ask again.
        """
        if len(self._under_way) < DIALS_MAX:
            self.dial_now(host, port, node_id)

    def dial_now(self, host: str, port: int, node_id: bytes | None) -> "asyncio.Task[None]":
        """Dial for a caller that cannot ask again: the dial waits if too many are under way."""
        address = (host, port)
        task = self._under_way.get(address)
        if task is None:
            task = asyncio.create_task(self._dial(host, port, node_id))
            self._under_way[address] = task
            task.add_done_callback(lambda _: self._under_way.pop(address, None))
        return task

    @property
    def busy(self) -> bool:
        """Whether a dial is under way."""
        return bool(self._under_way)

    async def stop(self) -> None:
        """End every dial."""
        await tasks.end(self._under_way.values())

    async def _dial(self, host: str, port: int, node_id: bytes | None) -> None:
        try:
            async with self._room:
                hello = await self._transport.dial(host, port, self._timeout_s)
        except (UnavailableError, IdentityError) as error:
            log.debug("dial of %s:%d failed: %s", host, port, error)
            if node_id is not None:
                self._failed(node_id, isinstance(error.__cause__, ConnectionRefusedError))
        else:
            # Another node may live at the address now.
            if node_id is not None and hello.node.node_id != node_id:
                self._failed(node_id, True)
