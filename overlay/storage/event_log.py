"""Call events that are safe on disk and not yet in `records.db`: two files, appended to in turn.

In: batches of events. Out: their bytes in a file that is to be synced; after a crash, the events
again. Counterparts: `log_file.py` is the file that it writes to; `syncing.py` brings the file to
disk; `settling.py` moves the events to the database, many at a time, and has the files emptied.

    events ─► append to one file ─► sync ─► acknowledged ─► turn ─► into records.db ─► file emptied
                                                             └► the other file takes new events

A frame is a batch: mark, length, checksum and number, 24 bytes, and the events. The numbers only go
up, over both files. A frame at the end of a file that is not whole was not acknowledged.

A file begins with a head: the number up to which its frames are settled. The number stands there
twice, because nothing else distinguishes old frames from new ones. To empty a file is to write its
head. The file keeps its length, and new frames are written over old ones. A sync of a file that has
grown, or that has other blocks than before, would make the file system write its own log as well.
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
"""The bytes before the first frame."""
RESERVED_BYTES: Final = 1 << 20
"""The size of a file from the start: room for thousands of events, while a hundred are settled at
once."""
_MARK: Final = b"\xfeEV\x01"
"""Mark of a frame. No text has its first byte."""
_HEADER: Final = Struct(">4sI8sQ")
_HEAD: Final = Struct(">4sQ8s")
_HEAD_MARK: Final = b"\xfeEH\x01"
_HEADS: Final = (0, HEAD_BYTES // 2)
"""Where in the file the number stands: not in one sector."""
_TIME_US_MAX: Final = 2**63 - 1
_NUMBER_MAX: Final = 2**48
"""More frames than are ever written. A larger number in an event's bytes is recognized as wrong at
once."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = decoding.msgpack(list[tuple[bytes, bytes, int, bytes, bool | None]])


def takes(row: object) -> bool:
    """Whether a row may go through the log: a call event that the database would not refuse, and no
    block of a chain. When a file is read again, an older head of the chain might come after a newer
    one."""
    return isinstance(row, EventRow) and not row.head and 0 <= row.time_us <= _TIME_US_MAX


class LogFile(Protocol):
    """What a log needs of a file. All methods raise `OSError`."""

    def fileno(self) -> int:
        """The descriptor, for the code that syncs the file."""
        ...

    def read(self) -> bytes:
        """The whole content."""
        ...

    def write(self, data: bytes, at: int) -> None:
        """Write all of `data`, from the byte `at` on."""
        ...

    def cut(self, size: int) -> None:
        """Keep only the first `size` bytes, if the file is longer."""
        ...

    def reserve(self, data: bytes) -> None:
        """Replace the content by `data`. It is on disk, and its blocks are allocated, when this
        returns."""
        ...

    def set_aside(self, data: bytes) -> None:
        """Keep a copy of a file that has rotted, for whoever wants to look deeper."""
        ...

    def close(self) -> None:
        """Close the file. It keeps its content."""
        ...


class EventLog:
    """The log of one node. All methods raise `OSError`."""

    def __init__(self, files: Sequence[LogFile], reserved_bytes: int = RESERVED_BYTES) -> None:
        """`files` are two."""
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
        """The events of both files that are not settled, in the order in which they were
        written."""
        found: list[tuple[int, list[EventRow]]] = []
        for file in self._files:
            settled, frames = _frames_of(file)
            self._number = max(self._number, settled)
            found += frames
        found.sort(key=lambda frame: frame[0])
        self._number = max(self._number, found[-1][0] if found else 0)
        return [row for _, rows in found for row in rows]

    def clear(self) -> None:
        """Empty both files, now that the database has all that was recovered. Blocks."""
        for file in self._files:
            file.cut(0)
            # If there is no room, the file grows as frames are written.
            with suppress(OSError):
                file.reserve(_head(self._number).ljust(self._reserved_bytes, b"\0"))
        self._end = HEAD_BYTES

    def append(self, rows: Iterable[EventRow]) -> None:
        """Write one batch, which is safe once `current` is synced. After an error, the next batch
        overwrites this one."""
        payload = _encode(
            [(row.call_key, row.event_id, row.time_us, row.body, row.journal) for row in rows]
        )
        number = self._number + 1
        frame = _HEADER.pack(_MARK, len(payload), _sum(number, payload), number) + payload
        self.current.write(frame, self._end)
        self._number = number
        self._end += len(frame)

    def turn(self) -> None:
        """Append to the other file, which is empty, from now on."""
        self._current ^= 1
        self._end = HEAD_BYTES

    def empty_other(self) -> None:
        """Empty the file from before the turn, now that the database has its events."""
        other = self._files[self._current ^ 1]
        other.write(_head(self._number), 0)
        other.cut(self._reserved_bytes)

    def close(self) -> None:
        """Close the files. They keep their content."""
        for file in self._files:
            file.close()


def _head(settled: int) -> bytes:
    """The head of a file whose frames are settled up to this number."""
    copy = _HEAD.pack(_HEAD_MARK, settled, _sum(settled, b""))
    return b"".join(copy.ljust(HEAD_BYTES // len(_HEADS), b"\0") for _ in _HEADS)


def _settled_to(data: bytes) -> int | None:
    """The number in a file's head; 0 if no head was written yet; None if the head cannot be
    read."""
    found = []
    for at in _HEADS:
        if at + _HEAD.size <= len(data):
            mark, settled, checksum = _HEAD.unpack_from(data, at)
            if mark == _HEAD_MARK and settled <= _NUMBER_MAX and checksum == _sum(settled, b""):
                found.append(settled)
    # If power was lost between the writes of two sectors, one number is older than the other.
    return max(found) if found else None if any(data[:HEAD_BYTES]) else 0


def _frames_of(file: LogFile) -> tuple[int, list[tuple[int, list[EventRow]]]]:
    """The number up to which a file's frames are settled; and the frames that are not, each as its
    number and its events."""
    data = file.read()
    frames: list[tuple[int, list[EventRow]]] = []
    settled = _settled_to(data)
    if settled is None:
        # Without the number, frames that were settled long ago look like new ones, even those of
        # calls that were deleted.
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
    """The first whole frame from `start` on whose number is above `last`, as (begin, end, number,
    payload). It begins at `start`, unless bytes have rotted. Frames from before the file was
    emptied do not count, nor do frames that a failed write left behind the last one."""
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
    """A frame's checksum. A CRC would not do: in a file that has rotted, any bytes may be taken for
    a frame's head."""
    return blake2b(payload, digest_size=8, salt=number.to_bytes(16, "big")).digest()


def _rows_of(payload: bytes) -> list[EventRow]:
    return [
        EventRow(call_key=key, event_id=event_id, time_us=time_us, body=body, journal=journal)
        for key, event_id, time_us, body, journal in _decode(payload)
    ]
