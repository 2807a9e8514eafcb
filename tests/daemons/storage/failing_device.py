"""A way to SQLite's files on which syncs, writes and reads fail when a test says so.

In: the operations that must fail. Out: the name of a VFS for `RecordsDisk`, and what the VFS saw.
It stands for a device that reports errors, which an ordinary device does not do on demand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw


class FailingDevice(apsw.VFS):
    """SQLite's own VFS, which fails while `failing` is not empty."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        """`sync`, `write` or `read`."""
        self.synced = 0
        self.name = f"failing-{id(self)}"
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: Any) -> "_File":
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, device: FailingDevice, name: Any, flags: Any) -> None:
        self._device = device
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:
        if "sync" in self._device.failing:
            raise _error(apsw.SQLITE_IOERR_FSYNC)
        self._device.synced += 1
        super().xSync(flags)

    def xWrite(self, data: Any, offset: int) -> None:
        if "write" in self._device.failing:
            raise _error(apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)

    def xRead(self, amount: int, offset: int) -> bytes:
        if "read" in self._device.failing:
            raise _error(apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)


def _error(extended: int) -> apsw.IOError:
    error = apsw.IOError("the device failed")
    error.extendedresult = extended
    return error


@contextmanager
def failing_device() -> Iterator[FailingDevice]:
    """One, registered as long as this lasts."""
    device = FailingDevice()
    try:
        yield device
    finally:
        device.unregister()
