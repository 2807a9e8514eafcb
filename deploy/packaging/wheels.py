"""Downloads the Python packages of the environment once, and installs them.

In: a list of versions with hashes, a folder that keeps downloads. Out: packages installed in an
environment. Counterpart: `environment.py`.
"""

import sys
import tempfile
from pathlib import Path

from deploy.packaging.commands import run
from deploy.packaging.errors import PackagingError

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
_INSTALL = ("install", "--no-compile", "--no-warn-script-location")


def fetch(lock: Path, cache: Path) -> None:
    """Download the packages of the list `lock` that the cache lacks; raises `PackagingError`."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run([*_PIP, "download", "--dest", scratch, *_cached(cache), *_pinned(lock)])
        except PackagingError:
            _download(lock, cache)


def install(python: Path, lock: Path, cache: Path) -> None:
    """Install the packages of the list `lock` for `python`. Packages in the cache are not
    downloaded again. The hashes are compared in any case. Raises `PackagingError`."""
    command: list[str | Path] = [*_PIP, "--python", python, *_INSTALL]
    command += [*_cached(cache), *_pinned(lock)]
    try:
        run(command)
    except PackagingError:
        _download(lock, cache)
        run(command)


def install_file(python: Path, wheel: Path) -> None:
    """Install one wheel for `python`; raises `PackagingError`."""
    command: list[str | Path] = [*_PIP, "--python", python, *_INSTALL]
    run([*command, "--no-index", "--no-deps", wheel])


def _download(lock: Path, cache: Path) -> None:
    print("package: fetching the Python packages that it holds", file=sys.stderr)
    (cache / "wheels").mkdir(parents=True, exist_ok=True)
    run([*_PIP, "download", "--dest", cache / "wheels", *_pinned(lock)])


def _cached(cache: Path) -> tuple[str, ...]:
    return ("--no-index", "--find-links", str(cache / "wheels"))


def _pinned(lock: Path) -> tuple[str, ...]:
    return ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock))
