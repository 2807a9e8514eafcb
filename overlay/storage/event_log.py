"""Call events that are safe on disk and not yet in `records.db`: two files, appended to in turn.

In: batches of events. Out: their bytes in a file that is to be synced; after a crash, the events
again. Counterparts: `log_file.py` is what it writes to, `syncing.py` brings that to disk,
`settling.py` has the events taken into the database, many at a time, and the files emptied.

    events ─► append to one file ─► sync ─► acknowledged ─► turn ─► into records.db ─► file emptied
                                                             └► the other file takes what comes

A frame is a batch: mark, length, checksum and number, 24 bytes, and the events. Numbers only go up,
over both files. A frame that is not whole at the end of a file was not acknowledged.

A file begins with a head: the number up to which its frames are settled, twice, as it is all that
tells old ones from others. To empty a file is to write its head. It keeps its length, and what
comes is written over what was there: a sync that finds the file longer than before, or in other
blocks, has the file system write its own log as well.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from struct import Struct
from typing import Final, Protocol

import msgspec

from overlay.base import decoding
from overlay.storage.rows import EventRow

HEAD_BYTES: Final = 4096
"""Before the first frame."""
RESERVED_BYTES: Final = 1 << 20
"""What a file has from the start: thousands of events, where a hundred are settled at once."""
_MARK: Final = b"\xfeEV\x01"
"""No text has its first byte."""
_HEADER: Final = Struct(">4sI8sQ")
_HEAD: Final = Struct(">4sQ8s")
_HEAD_MARK: Final = b"\xfeEH\x01"
_HEADS: Final = (0, HEAD_BYTES // 2)
"""Where it stands: not in one sector."""
_TIME_US_MAX: Final = 2**63 - 1
_NUMBER_MAX: Final = 2**48
"""More than are ever written; what is larger in the bytes of an event is seen at once."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = decoding.msgpack(list[tuple[bytes, bytes, int, bytes, bool | None]])


def takes(row: object) -> bool:
    """Whether a row may go this way: a call event, but no block of a chain, as no older head may
    come after a newer one when a file is read again; and none that the database would refuse."""
    return isinstance(row, EventRow) and not row.head and 0 <= row.time_us <= _TIME_US_MAX


class LogFile(Protocol):
    """What a log needs of a file; raises `OSError`."""

    def fileno(self) -> int:
        """For who syncs it."""
        ...

    def read(self) -> bytes:
        """All of it."""
        ...

    def write(self, data: bytes, at: int) -> None:
        """All of `data`, from the byte `at` on."""
        ...

    def cut(self, size: int) -> None:
        """Keep its first `size` bytes alone, if it is longer."""
        ...

    def reserve(self, data: bytes) -> None:
        """Have `data` in place of what it has; on disk, with the room for it, when this returns."""
        ...

    def set_aside(self, data: bytes) -> None:
        """Keep a copy of what has rotted, for whoever wants to look deeper."""
        ...

    def close(self) -> None:
        """What it holds stays."""
        ...


class EventLog:
    """Of one node; raises `OSError`."""

    def __init__(self, files: Sequence[LogFile], reserved_bytes: int = RESERVED_BYTES) -> None:
        """`files`: two."""
        self._files = files
        self._reserved_bytes = reserved_bytes
        self._current = 0
        self._end = HEAD_BYTES
        self._number = 0

    @property
    def current(self) -> LogFile:
        """The file that is appended to."""
        return self._files[self._current]

    def recover(self) -> list[EventRow]:
        """What both files hold that is not settled, in the order in which it was written."""
        found: list[tuple[int, list[EventRow]]] = []
        for file in self._files:
            settled, frames = _frames_of(file)
            self._number = max(self._number, settled)
            found += frames
        found.sort(key=lambda frame: frame[0])
        self._number = max(self._number, found[-1][0] if found else 0)
        return [row for _, rows in found for row in rows]

    def clear(self) -> None:
        """All that was recovered is in the database. Blocks."""
        for file in self._files:
            file.cut(0)
            # Where there is no room it grows with what is written.
            with suppress(OSError):
                file.reserve(_head(self._number).ljust(self._reserved_bytes, b"\0"))
        self._end = HEAD_BYTES

    def append(self, rows: Iterable[EventRow]) -> None:
        """Write one batch, which is safe once `current` is synced. After an error the next one
        takes its place."""
        payload = _encode(
            [(row.call_key, row.event_id, row.time_us, row.body, row.journal) for row in rows]
        )
        number = self._number + 1
        frame = _HEADER.pack(_MARK, len(payload), _sum(number, payload), number) + payload
        self.current.write(frame, self._end)
        self._number = number
        self._end += len(frame)

    def turn(self) -> None:
        """Append to the other file from now on, which is empty."""
        self._current ^= 1
        self._end = HEAD_BYTES

    def empty_other(self) -> None:
        """What was in the file before the turn is in the database."""
        other = self._files[self._current ^ 1]
        other.write(_head(self._number), 0)
        other.cut(self._reserved_bytes)

    def close(self) -> None:
        """What the files hold stays."""
        for file in self._files:
            file.close()


def _head(settled: int) -> bytes:
    """Of a file whose frames up to this number are settled."""
    copy = _HEAD.pack(_HEAD_MARK, settled, _sum(settled, b""))
    return b"".join(copy.ljust(HEAD_BYTES // len(_HEADS), b"\0") for _ in _HEADS)


def _settled_to(data: bytes) -> int | None:
    """What a head says; 0 where nobody has written one; None where it cannot be read."""
    found = []
    for at in _HEADS:
        if at + _HEAD.size <= len(data):
            mark, settled, checksum = _HEAD.unpack_from(data, at)
            if mark == _HEAD_MARK and settled <= _NUMBER_MAX and checksum == _sum(settled, b""):
                found.append(settled)
    # Where the power went between two sectors, one is older than the other.
    return max(found) if found else None if any(data[:HEAD_BYTES]) else 0


def _frames_of(file: LogFile) -> tuple[int, list[tuple[int, list[EventRow]]]]:
    """Up to which number a file's frames are settled, and those that are not, each with its own."""
    data = file.read()
    frames: list[tuple[int, list[EventRow]]] = []
    settled = _settled_to(data)
    if settled is None:
        # Frames that have been settled long ago, and calls that have been deleted, look the same.
        file.set_aside(data)
        return 0, frames
    start, last, rotten = HEAD_BYTES, settled, False
    while (frame := _next_frame(data, start, last)) is not None:
        begin, end, number, payload = frame
        rotten = rotten or begin != start
        frames.append((number, _rows_of(payload)))
        start, last = end, number
    if rotten:
        file.set_aside(data)
    return settled, frames


def _next_frame(data: bytes, start: int, last: int) -> tuple[int, int, int, bytes] | None:
    """The first whole frame from `start` on with a number above `last`, as (begin, end, number,
    payload). It begins there, but for what has rotted. What was written before the file was
    emptied, and what a write that failed left behind the last one, are none."""
    begin = start
    while (begin := data.find(_MARK, begin)) >= 0 and begin + _HEADER.size <= len(data):
        _, size, checksum, number = _HEADER.unpack_from(data, begin)
        end = begin + _HEADER.size + size
        if end <= len(data) and last < number <= _NUMBER_MAX:
            payload = data[begin + _HEADER.size : end]
            if _sum(number, payload) == checksum:
                return begin, end, number, payload
        begin += 1
    return None


def _sum(number: int, payload: bytes) -> bytes:
    """No CRC: in a file that has rotted any bytes may be taken for a frame's head."""
    return blake2b(payload, digest_size=8, salt=number.to_bytes(16, "big")).digest()


def _rows_of(payload: bytes) -> list[EventRow]:
    return [
        EventRow(call_key=key, event_id=event_id, time_us=time_us, body=body, journal=journal)
        for key, event_id, time_us, body, journal in _decode(payload)
    ]
