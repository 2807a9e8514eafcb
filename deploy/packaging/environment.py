"""Makes the package's virtual environment, complete and compiled, for /usr/lib/sipfarm.

In: the project's wheel and requirements.lock. Out: a folder that works once it lies at `HOME`, and
that holds no trace of the place where it was made. Counterpart: `build.py`.

`python3 -m venv` is not used: of the files that it writes, a node needs only two links and
pyvenv.cfg.
"""

import shutil
from pathlib import Path
from typing import Final

from deploy.packaging import wheels
from deploy.packaging.commands import run

HOME: Final = Path("/usr/lib/sipfarm")
PYTHON: Final = "python3.11"
"""Debian's Python. Kamailio embeds it, and imports from the environment with it."""

_SETTINGS: Final = (
    f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON[6:]}\n"
)
_COMMANDS: Final = {"sipfarm": "overlay.cli.main", "sipfarm-overlay": "overlay.daemon.main"}
_SCRIPT: Final = f"""\
#!{HOME}/bin/python3
import sys

from {{module}} import main

sys.exit(main())
"""
_INSTALLERS_NOTES: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Files by which pip removes a package. Here, dpkg removes them all."""
_UNUSED: Final = {"tests", "sqlite_extra_binaries"}
"""Folders in Python packages that no node uses. The second is apsw's: 3 MB of SQLite's tools."""
_FOR_COMPILERS: Final = {".c", ".h", ".pxd", ".pxi", ".pyi", ".pyx"}


def make(into: Path, wheel: Path, lock: Path, cache: Path) -> None:
    """Make the environment in `into`, from where it must be copied to `HOME`; raises
    `PackagingError`."""
    (into / "bin").mkdir(parents=True)
    for name in ("python3", "python"):
        (into / "bin" / name).symlink_to(f"/usr/bin/{PYTHON}" if name == "python3" else "python3")
    (into / "pyvenv.cfg").write_text(_SETTINGS)
    wheels.install(into / "bin/python3", lock, cache)
    wheels.install_file(into / "bin/python3", wheel)
    _tidy(into)
    _compile(into)


def site_packages(environment: Path) -> Path:
    """The folder of the environment that holds its Python packages."""
    return environment / "lib" / PYTHON / "site-packages"


def _tidy(environment: Path) -> None:
    """Remove all that no node runs, and all that shows where the environment was made."""
    for path in (environment / "bin").iterdir():
        if path.name not in ("python", "python3"):
            path.unlink()
    for name, module in _COMMANDS.items():
        script = environment / "bin" / name
        script.write_text(_SCRIPT.format(module=module))
        script.chmod(0o755)
    for folder in environment.iterdir():
        if folder.is_dir() and folder.name not in ("bin", "lib"):
            shutil.rmtree(folder)
    packages = site_packages(environment)
    for path in sorted(packages.rglob("*")):
        if path.is_dir() and path.name in _UNUSED:
            shutil.rmtree(path)
        elif path.suffix in _FOR_COMPILERS or (
            path.name in _INSTALLERS_NOTES and path.parent.suffix == ".dist-info"
        ):
            path.unlink(missing_ok=True)


def _compile(environment: Path) -> None:
    """Compile all modules to files that Python uses without a look at the source. The services
    cannot write there, and all files bear the same date, which says nothing about changes."""
    run(
        [
            environment / "bin/python3",
            *("-I", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"),
            *("-s", environment, "-p", HOME, environment / "lib"),
        ]
    )
