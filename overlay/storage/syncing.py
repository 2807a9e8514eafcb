"""Brings a file to disk while the event loop goes on, without a thread.

In: files. Out: outcomes, on the loop. The kernel syncs by itself, and reports through an event
descriptor (Linux, io_submit(2), IOCB_CMD_FDSYNC). A thread that syncs would have to be woken, would
wait for the interpreter's lock, and would wake the loop: three times the switches.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from caio import linux_aio

from overlay.base.errors import DeviceError

UNDER_WAY_MAX: Final = 8
"""More syncs than are ever under way at once."""

Synced = Callable[[DeviceError | None], None]


class Syncable(Protocol):
    """A file that is open."""

    def fileno(self) -> int:
        """The file's descriptor."""
        ...


class Syncer:
    """The syncs of one event loop. Making one raises `OSError` or `SystemError` if the kernel does
    not allow it."""

    def __init__(self) -> None:
        self._context = linux_aio.Context(max_requests=UNDER_WAY_MAX)
        self._under_way: dict[int, tuple[Any, Synced]] = {}
        self._finished: list[int] = []
        self._last = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._context.fileno, self._ready)

    def sync(self, file: Syncable, synced: Synced) -> None:
        """Bring to disk all that was written to a file. `synced` is called on the loop.

        Raises `DeviceError` when the kernel does not even accept the request.
        """
        self._last = number = self._last + 1
        operation = linux_aio.Operation.fdsync(file.fileno())
        # The second argument of the callback is the result, which the operation has as well.
        operation.set_callback(partial(self._note, number))
        try:
            self._context.submit(operation)
        except Exception as error:
            # The library raises whatever exception fits the error's number.
            raise DeviceError(f"io_submit: {error}") from error
        self._under_way[number] = (operation, synced)

    def close(self) -> None:
        """Call no callback any more."""
        self._loop.remove_reader(self._context.fileno)
        self._under_way.clear()

    def _note(self, number: int, _result: int) -> None:
        self._finished.append(number)

    def _ready(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._context.fileno, 8)
        self._context.process_events()
        finished, self._finished = self._finished, []
        for number in finished:
            operation, synced = self._under_way.pop(number)
            try:
                operation.get_value()
            except SystemError as error:
                synced(DeviceError(f"fdatasync: {error}"))
            else:
                synced(None)


def open_syncer() -> Syncer | None:
    """A syncer; None if the kernel does not allow one, or has no room left for one."""
    try:
        return Syncer()
    except (OSError, SystemError):
        return None
