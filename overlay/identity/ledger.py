"""The CA's ledger: a file with a line of JSON for each certificate that the CA has made.

In: certificates, before they are handed out. Out: all certificates that were made, oldest first.
Counterparts: `ca.py` writes it; `sipfarm ca list` shows it. `token_book.py` keeps its tokens in a
file of the same form.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import msgspec

from overlay.base.errors import IdentityError
from overlay.identity import files


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate."""

    serial: str
    """Hex digits."""
    node: str
    address: str
    node_id: str
    """40 hex digits."""
    issued_at: datetime
    expires_at: datetime
    by: str = ""
    """Who asked for it: the operator, or a token and the address that it came from."""


E = TypeVar("E", bound=msgspec.Struct)


class LockedLines(Generic[E]):
    """A ledger while this process alone has it open."""

    def __init__(self, path: Path, file: BinaryIO, kind: type[E]) -> None:
        self._path = path
        self._file = file
        self._file.seek(0)
        data = self._file.read()
        self._end = _end_of_last_line(data)
        self.entries = _parse(path, data, kind)
        self._take_back()

    def append(self, entry: E) -> None:
        """Add an entry, which is on disk when this returns. Raises `IdentityError`."""
        line = msgspec.json.encode(entry) + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
            files.sync_directory(self._path.parent)
        except OSError as error:
            self._take_back()
            raise IdentityError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._end += len(line)
        self.entries.append(entry)

    def _take_back(self) -> None:
        """Cut off what was written after the last entry: the next one must begin a line."""
        try:
            self._file.truncate(self._end)
        except OSError as error:
            raise IdentityError(f"{self._path}: cannot be written: {error.strerror}") from error


def locked(directory: Path) -> AbstractContextManager[LockedLines[Issued]]:
    """The ledger of the CA in `directory`. Another process that opens it waits until the block
    ends."""
    return locked_lines(directory / files.ISSUED, Issued)


@contextmanager
def locked_lines(path: Path, kind: type[E]) -> Iterator[LockedLines[E]]:
    """A ledger whose entries are of this kind. Another process or thread that opens it waits until
    the block ends."""
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        file = os.fdopen(os.open(path, flags, 0o644), "a+b")
        files.give_to_owner_of(path.parent, file.fileno())
    except OSError as error:
        raise IdentityError(f"{path}: cannot be opened: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield LockedLines(path, file, kind)


def read(directory: Path) -> list[Issued]:
    """Every entry, oldest first; none if the CA has made no certificate yet. Raises
    `IdentityError`."""
    path = directory / files.ISSUED
    try:
        with path.open("rb") as file:
            return _parse(path, file.read(), Issued)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror}") from error


def holder(entries: Iterable[Issued], node: str, now: datetime) -> str:
    """The id, in hex, of the node that last got a certificate for this name; empty if no
    certificate for this name is in force at `now`."""
    latest = ""
    for entry in entries:
        if entry.node == node and entry.expires_at > now:
            latest = entry.node_id
    return latest


def _end_of_last_line(data: bytes) -> int:
    """Where the last whole line ends. What follows is an entry that a crash or a full disk cut off:
    `append` had not returned, so nothing was done for it."""
    return data.rfind(b"\n") + 1


def _parse(path: Path, data: bytes, kind: type[E]) -> list[E]:
    entries = []
    for number, line in enumerate(data[: _end_of_last_line(data)].splitlines(), 1):
        try:
            entries.append(msgspec.json.decode(line, type=kind))
        except msgspec.MsgspecError as error:
            raise IdentityError(f"{path}:{number}: {error}") from error
    return entries
