"""Draws dashboards with Grafana's own components in a Chromium without a screen.

In: dashboards, a Prometheus, a span of time. Out: pictures. Counterparts: `viewer/`, the page that
draws; npm and Chromium, which a machine needs for this alone. It is not Grafana: variables, the
layout, and what makes data frames of answers are this module's and the page's.
"""

import argparse
import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from grafana.asking import Prometheus, Server, Span, answers, choices
from grafana.paths import DASHBOARDS, VIEWER

_WIDTH_PX: Final = 1480
_HEAD_PX: Final = 56
_ROW_PX: Final = 38
"""As in viewer.jsx."""
_COLOURS: Final = 256
_CHROMIUM_S: Final = 90.0
_SETTLE_MS: Final = 4_000
"""Of the page's own, virtual time."""
_PAGE: Final = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="viewer.css">
<body><div id="page"></div><script>window.look = {look};</script><script src="viewer.js"></script>
"""


def install() -> Path:
    """Grafana's components where they are not yet, in a cache outside of the repository."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lock = (VIEWER / "package-lock.json").read_bytes()
    folder = cache / "sipfarm" / f"grafana-{hashlib.sha256(lock).hexdigest()[:16]}"
    with _alone(folder.with_suffix(".lock")):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(VIEWER / name, folder)
            npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(npm, cwd=folder, check=True, stdin=subprocess.DEVNULL)
            (folder / "installed").touch()
    return folder / "node_modules"


def draw(
    dashboard: Mapping[str, Any],
    prometheus: Prometheus,
    span: Span,
    picture: Path,
    chosen: Mapping[str, str],
) -> list[str]:
    """Write the picture of a dashboard, as PNG; returns the titles of panels without data. Raises
    `RuntimeError` where it cannot be drawn."""
    modules = install()
    chosen = choices(dashboard, prometheus, chosen)
    by_panel: dict[int, dict[str, Any]] = {}
    empty = []
    for answer in answers(dashboard, prometheus, span, chosen):
        by_panel.setdefault(answer.panel_id, {})[answer.ref_id] = answer.series
        if not answer.has_data:
            empty.append(f"{answer.panel} ({answer.ref_id})")
    look = {
        "dashboard": dashboard,
        "answers": by_panel,
        "chosen": chosen,
        "beginMs": span.begin_s * 1000,
        "endMs": span.end_s * 1000,
        "stepMs": span.step_s * 1000,
    }
    lowest = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in dashboard["panels"])
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        bundle = [VIEWER / "bundle.mjs", modules, folder / "viewer.js"]
        subprocess.run(["node", *bundle], check=True, stdin=subprocess.DEVNULL)
        text = json.dumps(look).replace("<", "\\u003c")
        (folder / "page.html").write_text(_PAGE.replace("{look}", text), encoding="utf-8")
        picture.write_bytes(_small(_taken(folder, _HEAD_PX + lowest * _ROW_PX)))
    return empty


def _taken(folder: Path, height_px: int) -> bytes:
    """A picture of the page there, as PNG; raises `RuntimeError` if the page fails."""
    argv = [
        "chromium",
        "--headless",
        "--no-sandbox",  # It does not start as root otherwise.
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={_WIDTH_PX},{height_px}",
        f"--virtual-time-budget={_SETTLE_MS}",
        f"--screenshot={folder / 'taken.png'}",
        f"file://{folder / 'page.html'}",
    ]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=_CHROMIUM_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    taken = folder / "taken.png"
    failed = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "Uncaught" in line]
    if failed or not taken.exists():
        raise RuntimeError("the page was not drawn:\n" + ("\n".join(failed) or done.stderr))
    return taken.read_bytes()


def _small(png: bytes) -> bytes:
    """With few colours: pictures of charts lose nothing by that."""
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else is in here meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: Sequence[str]) -> int:
    """Draw what is asked for; 1 if a panel has no data."""
    parser = argparse.ArgumentParser(prog="grafana/look", description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its URL")
    parser.add_argument("--out", type=Path, default=Path(), help="where the pictures go")
    parser.add_argument("--minutes", type=float, default=60.0, help="how far back (default 60)")
    parser.add_argument("--scrape", type=float, default=15.0, help="s from scrape to scrape")
    parser.add_argument("--farm", default="", help="of which farm; the first if there are several")
    parser.add_argument("--node", default="", help="of which nodes, as a regular expression")
    parser.add_argument("--install", action="store_true", help="only fetch what drawing needs")
    parser.add_argument("boards", nargs="*", help="all, if none is named; as `farm`")
    options = parser.parse_args(argv)
    modules = install()
    if options.install:
        print(modules)
        return 0
    now_s = time.time()
    span = Span(begin_s=now_s - 60 * options.minutes, end_s=now_s, scrape_interval_s=options.scrape)
    chosen = {"farm": options.farm, "node": options.node}
    names = options.boards or [
        path.stem.removeprefix("sipfarm-") for path in sorted(DASHBOARDS.glob("*.json"))
    ]
    complete = True
    for name in names:
        dashboard = json.loads((DASHBOARDS / f"sipfarm-{name}.json").read_text(encoding="utf-8"))
        path = options.out / f"{name}.png"
        empty = draw(dashboard, Server(url=options.prometheus), span, path, chosen)
        print(f"{path}: {', '.join(empty) or 'all panels have data'}")
        complete = complete and not empty
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
