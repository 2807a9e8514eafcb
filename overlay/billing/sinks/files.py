"""Billing records in files: CSV (RFC 4180) or JSON lines, whole files only.

In: rows. Out: `cdr-TIME-NODE-NUMBER.csv` or `.jsonl`, each with a manifest. The manifest holds the
number of rows in the file, the first and the last id, and the file's SHA-256. Counterpart: the
operator's program that collects the files.

Rows are appended to `NAME.part` and fsynced before they count as taken. A file that is full or old
enough gets its manifest, and then its final name, by an atomic rename. So a file with a final name
is complete and will not change. If a crash left a part, the next start finishes it, without its
last line if that line is torn.
"""

import asyncio
import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from overlay.billing.columns import COLUMNS, BilledRow
from overlay.billing.sinks.sink import SinkError
from overlay.records.billed import FREE, Column

Format = Literal["csv", "jsonl"]
T = TypeVar("T")

_PART: Final = ".part"
_MANIFEST: Final = ".manifest.json"
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")
"""The first characters with which spreadsheets take a field for a formula."""


def csv_line(row: BilledRow) -> str:
    """The row with CR LF at its end. A field that a spreadsheet would run as a formula is quoted
    with `'`."""
    return _line([_cell(getattr(row, name), column) for name, column in COLUMNS.items()])


def json_line(row: BilledRow) -> str:
    """The row as an object, with LF at its end."""
    return msgspec.json.encode(row).decode() + "\n"


def _cell(value: Any, column: Column) -> Any:
    return f"'{value}" if column.kind in FREE and value.startswith(_DANGEROUS) else value


def _line(fields: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(fields)
    return text.getvalue()


@dataclass(kw_only=True)
class _Open:
    """The part that is being written."""

    path: Path
    descriptor: int
    opened_s: float
    rows: int = 0
    size: int = 0
    first_id: str = ""
    last_id: str = ""


class FileSink:
    """Rotating files in one directory. A thread of their own accesses the disk."""

    def __init__(
        self,
        directory: Path,
        kind: Format,
        node: str,
        *,
        rotate_s: int,
        rotate_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._kind: Format = kind
        self._node = node
        self._rotate_s = rotate_s
        self._rotate_bytes = rotate_bytes
        self._clock = clock
        self._open: _Open | None = None
        self._prepared = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cdr files")

    @property
    def name(self) -> str:
        return self._kind

    async def take(self, rows: Sequence[BilledRow]) -> None:
        await self._run(lambda: self._append(rows))

    async def tick(self) -> None:
        await self._run(self._rotate_if_due)

    async def close(self) -> None:
        with suppress(SinkError):
            await self._run(self._finish)
        self._thread.shutdown()

    # The methods that follow run in the thread.

    async def _run(self, work: Callable[[], None]) -> None:
        def prepared() -> None:
            if not self._prepared:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._recover()
                self._prepared = True
            work()

        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, prepared)
        except OSError as error:
            where = error.filename or self._directory
            raise SinkError(f"{where}: {error.strerror or error}") from error

    def _append(self, rows: Sequence[BilledRow]) -> None:
        self._rotate_if_due()
        part = self._open or self._new_part()
        encode = csv_line if self._kind == "csv" else json_line
        data = "".join(encode(row) for row in rows).encode()
        try:
            _write_all(part.descriptor, data)
            os.fsync(part.descriptor)
        except OSError:
            # No row of the batch counts as taken. All will come again, into a file without half a
            # line.
            with suppress(OSError):
                os.ftruncate(part.descriptor, part.size)
                os.lseek(part.descriptor, part.size, os.SEEK_SET)
            raise
        part.size += len(data)
        part.rows += len(rows)
        part.first_id = part.first_id or rows[0].id
        part.last_id = rows[-1].id

    def _new_part(self) -> _Open:
        now_s = self._clock()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        for number in range(1_000):
            name = f"cdr-{moment}-{self._node}-{number:03d}.{self._kind}"
            path = self._directory / f"{name}{_PART}"
            if (self._directory / name).exists():
                continue
            with suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                descriptor = os.open(path, flags, 0o640)
                break
        else:
            raise OSError(f"no free name for {moment}")
        header = _line(COLUMNS).encode() if self._kind == "csv" else b""
        _write_all(descriptor, header)
        self._open = _Open(path=path, descriptor=descriptor, opened_s=now_s, size=len(header))
        return self._open

    def _rotate_if_due(self) -> None:
        part = self._open
        if part is not None and (
            self._clock() - part.opened_s >= self._rotate_s or part.size >= self._rotate_bytes
        ):
            self._finish()

    def _finish(self) -> None:
        part, self._open = self._open, None
        if part is None:
            return
        os.close(part.descriptor)
        self._publish(part.path, part.rows, part.first_id, part.last_id)

    def _publish(self, path: Path, rows: int, first_id: str, last_id: str) -> None:
        """Write the manifest, then rename the file. A file without rows is removed."""
        if not rows:
            path.unlink()
            return
        final = path.with_name(path.name.removesuffix(_PART))
        data = path.read_bytes()
        manifest = {
            "file": final.name,
            "rows": rows,
            "first_id": first_id,
            "last_id": last_id,
            "bytes": len(data),
            "sha256": sha256(data).hexdigest(),
        }
        beside = final.with_name(f"{final.name}{_MANIFEST}")
        unfinished = beside.with_name(f"{beside.name}{_PART}")
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(json.dumps(manifest, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(beside)
        path.rename(final)
        _sync_directory(self._directory)

    def _recover(self) -> None:
        """Finish the parts that an earlier run left."""
        for path in sorted(self._directory.glob(f"cdr-*-{self._node}-*.{self._kind}{_PART}")):
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) != len(data):
                with path.open("r+b") as file:
                    file.truncate(len(whole))
                    os.fsync(file.fileno())
            ids = self._ids(whole)
            self._publish(path, len(ids), ids[0] if ids else "", ids[-1] if ids else "")

    def _ids(self, data: bytes) -> list[str]:
        text = data.decode("utf-8", "replace")
        if self._kind == "csv":
            return [fields[0] for fields in list(csv.reader(io.StringIO(text, newline="")))[1:]]
        return [json.loads(line)["id"] for line in text.splitlines()]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
