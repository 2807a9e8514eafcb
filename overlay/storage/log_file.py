"""The two files of a log of call events, in a node's directory.

In: bytes. Out: the same bytes in the page cache, which nobody has to wait for. Counterparts:
`event_log.py` knows what the bytes mean; `syncing.py` brings them to disk.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from overlay.storage.damage import Damage, aside_of

log = logging.getLogger(__name__)

NAMES: Final = ("events-0.log", "events-1.log")
PAGE_BYTES: Final = 4096
_MODE: Final = 0o640
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class NodeLogFile:
    """The `LogFile` of a real node. All methods raise `OSError`."""

    def __init__(self, path: Path, damage: Damage) -> None:
        self._path = path
        self._damage = damage
        self._descriptor = os.open(path, _FLAGS, _MODE)

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> bytes:
        return self._path.read_bytes()

    def write(self, data: bytes, at: int) -> None:
        written = os.pwrite(self._descriptor, data, at)
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes were written")

    def cut(self, size: int) -> None:
        if os.fstat(self._descriptor).st_size > size:
            os.ftruncate(self._descriptor, size)

    def reserve(self, data: bytes) -> None:
        """Write each block once. If blocks are only reserved, the file system writes its own log
        when each is written first. The pages are written one at a time: of bytes that come at once
        the kernel makes one large page, and takes all of it for dirty when one byte of it is
        written."""
        os.ftruncate(self._descriptor, 0)
        for at in range(0, len(data), PAGE_BYTES):
            self.write(data[at : at + PAGE_BYTES], at)
        os.fsync(self._descriptor)

    def set_aside(self, data: bytes) -> None:
        """Keep the content under another name. Other replicas have the events that were in it."""
        aside = aside_of(self._path)
        log.error("call events in %s have rotted; it is kept as %s", self._path, aside.name)
        with suppress(OSError):
            aside.write_bytes(data)
        self._damage.look_for_files(self._path.parent)

    def close(self) -> None:
        os.close(self._descriptor)


def open_files(directory: Path, damage: Damage) -> list[NodeLogFile]:
    """Open both files, and create those that are not there. The names are durable when this
    returns."""
    files = [NodeLogFile(directory / name, damage) for name in NAMES]
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return files
