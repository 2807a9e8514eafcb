"""Call events that are safe on disk and not yet in `records.db`: two files, appended to in turn.

In: batches of events. Out: their bytes in a file that is to be synced; after a crash, the events
again. Counterparts: `syncing.py` brings the file to disk, `records_disk.py` has the events taken
into the database, many at a time, and the files emptied. Blocking code; it writes to the page
cache, and waits for no disk.

    events ─► append to one file ─► sync ─► acknowledged ─► turn ─► into records.db ─► file emptied
                                                             └► the other file takes what comes

A frame is a batch: length, checksum and number, 20 bytes, and the events. Numbers only go up, over
both files. A frame that is not whole at the end of a file was not acknowledged.
"""

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final

import msgspec

from overlay import decoding
from overlay.storage.damage import Damage, aside_of
from overlay.storage.rows import EventRow

log = logging.getLogger(__name__)

NAMES: Final = ("events-0.log", "events-1.log")
_HEADER: Final = Struct(">I8sQ")
_MODE: Final = 0o640
_TIME_US_MAX: Final = 2**63 - 1
_NUMBER_MAX: Final = 2**48
"""More than are ever written; what is larger in the bytes of an event is seen at once."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = decoding.msgpack(list[tuple[bytes, bytes, int, bytes, bool | None]])


def takes(row: object) -> bool:
    """Whether a row may go this way: a call event, but no block of a chain, as no older head may
    come after a newer one when a file is read again; and none that the database would refuse."""
    return isinstance(row, EventRow) and not row.head and 0 <= row.time_us <= _TIME_US_MAX


class EventLog:
    """The files of one node; raises `OSError`."""

    def __init__(self, directory: Path, damage: Damage) -> None:
        self._paths = [directory / name for name in NAMES]
        self._damage = damage
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._files = [os.open(path, flags, _MODE) for path in self._paths]
        self._current = 0
        self._end = 0
        self._number = 0
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def current(self) -> int:
        """The descriptor of the file that is appended to."""
        return self._files[self._current]

    def recover(self) -> list[EventRow]:
        """What both files hold, in the order in which it was written."""
        found: list[tuple[int, list[EventRow]]] = []
        for path in self._paths:
            found += self._frames_of(path)
        found.sort(key=lambda frame: frame[0])
        self._number = found[-1][0] if found else 0
        return [row for _, rows in found for row in rows]

    def clear(self) -> None:
        """All that was recovered is in the database."""
        for file in self._files:
            os.ftruncate(file, 0)
        self._end = 0

    def append(self, rows: Iterable[EventRow]) -> None:
        """Write one batch, which is safe once `current` is synced. After an error the next one
        takes its place."""
        payload = _encode(
            [(row.call_key, row.event_id, row.time_us, row.body, row.journal) for row in rows]
        )
        number = self._number + 1
        frame = _HEADER.pack(len(payload), _sum(number, payload), number) + payload
        written = os.pwrite(self.current, frame, self._end)
        if written != len(frame):
            raise OSError(f"{written} of {len(frame)} bytes were written")
        self._number = number
        self._end += written

    def turn(self) -> None:
        """Append to the other file from now on, which is empty."""
        self._current ^= 1
        self._end = 0

    def empty_other(self) -> None:
        """What was in the file before the turn is in the database."""
        os.ftruncate(self._files[self._current ^ 1], 0)

    def close(self) -> None:
        """What the files hold stays."""
        for file in self._files:
            os.close(file)

    # inner workings

    def _frames_of(self, path: Path) -> list[tuple[int, list[EventRow]]]:
        data = path.read_bytes()
        frames: list[tuple[int, list[EventRow]]] = []
        start = last = 0
        rotten = False
        while (frame := _next_frame(data, start, last)) is not None:
            begin, end, number, payload = frame
            rotten = rotten or begin != start
            frames.append((number, _rows_of(payload)))
            start, last = end, number
        if rotten:
            self._rotten(path, data)
        return frames

    def _rotten(self, path: Path, data: bytes) -> None:
        """Other replicas have what was in it; this copy is for whoever wants to look deeper."""
        aside = aside_of(path)
        log.error("call events in %s have rotted; it is kept as %s", path, aside.name)
        with suppress(OSError):
            aside.write_bytes(data)
        self._damage.look_for_files(path.parent)


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
