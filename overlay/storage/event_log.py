"""Call events that are safe on disk and not yet in `records.db`: two files, appended to in turn.

In: batches of events. Out: their bytes in a file that is to be synced; after a crash, the events
again. Counterparts: `log_file.py` is what it writes to, `syncing.py` brings that to disk,
`settling.py` has the events taken into the database, many at a time, and the files emptied.

    events ─► append to one file ─► sync ─► acknowledged ─► turn ─► into records.db ─► file emptied
                                                             └► the other file takes what comes

A frame is a batch: length, checksum and number, 20 bytes, and the events. Numbers only go up, over
both files. A frame that is not whole at the end of a file was not acknowledged.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Final, Protocol

import msgspec

from overlay import decoding
from overlay.storage.rows import EventRow

_HEADER: Final = Struct(">I8sQ")
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

    def empty(self) -> None:
        """Nothing of it is needed any more."""
        ...

    def set_aside(self, data: bytes) -> None:
        """Keep a copy of what has rotted, for whoever wants to look deeper."""
        ...

    def close(self) -> None:
        """What it holds stays."""
        ...


class EventLog:
    """Of one node; raises `OSError`."""

    def __init__(self, files: Sequence[LogFile]) -> None:
        """`files`: two."""
        self._files = files
        self._current = 0
        self._end = 0
        self._number = 0

    @property
    def current(self) -> LogFile:
        """The file that is appended to."""
        return self._files[self._current]

    def recover(self) -> list[EventRow]:
        """What both files hold, in the order in which it was written."""
        found: list[tuple[int, list[EventRow]]] = []
        for file in self._files:
            found += _frames_of(file)
        found.sort(key=lambda frame: frame[0])
        self._number = found[-1][0] if found else 0
        return [row for _, rows in found for row in rows]

    def clear(self) -> None:
        """All that was recovered is in the database."""
        for file in self._files:
            file.empty()
        self._end = 0

    def append(self, rows: Iterable[EventRow]) -> None:
        """Write one batch, which is safe once `current` is synced. After an error the next one
        takes its place."""
        payload = _encode(
            [(row.call_key, row.event_id, row.time_us, row.body, row.journal) for row in rows]
        )
        number = self._number + 1
        frame = _HEADER.pack(len(payload), _sum(number, payload), number) + payload
        self.current.write(frame, self._end)
        self._number = number
        self._end += len(frame)

    def turn(self) -> None:
        """Append to the other file from now on, which is empty."""
        self._current ^= 1
        self._end = 0

    def empty_other(self) -> None:
        """What was in the file before the turn is in the database."""
        self._files[self._current ^ 1].empty()

    def close(self) -> None:
        """What the files hold stays."""
        for file in self._files:
            file.close()


def _frames_of(file: LogFile) -> list[tuple[int, list[EventRow]]]:
    data = file.read()
    frames: list[tuple[int, list[EventRow]]] = []
    start = last = 0
    rotten = False
    while (frame := _next_frame(data, start, last)) is not None:
        begin, end, number, payload = frame
        rotten = rotten or begin != start
        frames.append((number, _rows_of(payload)))
        start, last = end, number
    if rotten:
        file.set_aside(data)
    return frames


def _next_frame(data: bytes, start: int, last: int) -> tuple[int, int, int, bytes] | None:
    """The first whole frame from `start` on, as (begin, end, number, payload). It begins there, but
    for what has rotted. What a write that failed left behind the last one is none."""
    for begin in range(start, len(data) - _HEADER.size + 1):
        size, checksum, number = _HEADER.unpack_from(data, begin)
        end = begin + _HEADER.size + size
        if end <= len(data) and last < number <= _NUMBER_MAX:
            payload = data[begin + _HEADER.size : end]
            if _sum(number, payload) == checksum:
                return begin, end, number, payload
    return None


def _sum(number: int, payload: bytes) -> bytes:
    """No CRC: in a file that has rotted any bytes may be taken for a frame's head."""
    return blake2b(payload, digest_size=8, salt=number.to_bytes(16, "big")).digest()


def _rows_of(payload: bytes) -> list[EventRow]:
    return [
        EventRow(call_key=key, event_id=event_id, time_us=time_us, body=body, journal=journal)
        for key, event_id, time_us, body, journal in _decode(payload)
    ]
