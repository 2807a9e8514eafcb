"""A column that is declared in one place reaches everything that shows billing records.

The declaration is written into a copy of the source, which runs in a process of its own. So no
other module of the project can have been changed for it.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.postgresql import Cluster

_ROOT = Path(__file__).parents[4]
_FIELD = '    agent: Annotated[str, _said("user_agent", label="phone", since="9.0.0")] = ""\n'
_PROGRAM = """
import asyncio, json, sys
from pathlib import Path

import msgspec

from overlay.records.assemble import assemble
from overlay.billing.columns import row_of
from overlay.billing.sinks.files import FileSink, json_line
from overlay.billing.sinks.kafka import cut
from overlay.billing.sinks.postgresql import PostgresqlSink
from overlay.cli.cdr import _details
from overlay.records.call_record import CallRecord
from overlay.records.call import CallEvent, EventKind, encode

_, address, folder, agent = sys.argv
start, stop = (
    CallEvent(
        kind=kind, event_id=bytes([kind] * 20), call_id="c", from_tag="f", to_tag="t",
        time_us=kind * 1_000_000, user_agent=agent,
    )
    for kind in (EventKind.START, EventKind.STOP)
)
(record,) = assemble([start, stop])
row = row_of(record)

async def export():
    files = FileSink(Path(folder), "csv", "n1", rotate_s=3_600, rotate_bytes=1 << 20)
    for sink in (PostgresqlSink(address, "cdr"), files):
        await sink.take([row])
        await sink.close()

asyncio.run(export())
print(json.dumps({
    "source": sys.modules["overlay.billing.columns"].__file__,
    "event": len(encode(start)),
    "show": _details(record),
    "list": json.loads(msgspec.json.encode(record)),
    "json line": json.loads(json_line(row)),
    "cut": json.loads(msgspec.json.encode(cut(row))),
}))
"""


def told_by(overlay: Path, database: Cluster, files: Path, agent: str) -> dict[str, object]:
    """What the program finds out with this source."""
    environment = os.environ | {"PYTHONPATH": str(overlay.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, database.address, str(files), agent],
        cwd=overlay.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    assert Path(str(told["source"])).is_relative_to(overlay)
    return told


def test_one_line_brings_a_column_everywhere(database: Cluster, tmp_path: Path) -> None:
    """Also into the table that a database has from before."""
    agent = "=phone" + "x" * 200
    overlay = tmp_path / "overlay"
    shutil.copytree(_ROOT / "overlay", overlay, ignore=shutil.ignore_patterns("__pycache__"))
    before = told_by(overlay, database, tmp_path / "before", agent)
    assert "phone" not in str(before["show"])
    billed = overlay / "records" / "billed.py"
    source = billed.read_text()
    end = source.index("\n\n\ndef columns_of")
    billed.write_text(f"{source[:end]}\n{_FIELD}{source[end + 1 :]}")

    after = told_by(overlay, database, tmp_path / "after", agent)
    assert after["event"] == before["event"]
    for form, text in (("list", agent), ("json line", agent), ("cut", agent[:100])):
        was, now = before[form], after[form]
        assert isinstance(was, dict)
        assert isinstance(now, dict)
        assert list(now.items()) == [*was.items(), ("agent", text)]
    assert [line.split(None, 1) for line in str(after["show"]).splitlines()].count(
        ["phone", agent]
    ) == 1
    header, cells = (
        list(csv.reader(io.StringIO(path.read_text())))
        for folder in ("before", "after")
        for path in (tmp_path / folder).glob("*.csv")
    )
    assert cells[0] == [*header[0], "agent"]
    assert cells[1] == [*header[1], f"'{agent}"]
    assert database.ask("SELECT count(*), min(agent) FROM cdr") == f"1|{agent}"
