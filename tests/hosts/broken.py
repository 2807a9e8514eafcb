"""Makes a package whose daemon does not start, as if a file had been left out.

In: a package that works. Out: a broken one of a later version. Counterpart: `test_broken_build.py`.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

_DAEMON: Final = "usr/lib/sipfarm/bin/sipfarm-overlay"
_BROKEN: Final = "#!/bin/sh\necho 'ImportError: broken for a test' >&2\nexit 1\n"
_VERSION: Final = re.compile(r"^Version: (.*)$", re.MULTILINE)
_WITHIN_S: Final = 100.0


def break_daemon(package: Path, into: Path) -> Path:
    """Write the broken package beside."""
    unpacked = into / "broken"
    _run("dpkg-deb", "--raw-extract", str(package), str(unpacked))
    (unpacked / _DAEMON).write_text(_BROKEN, encoding="ascii")
    control = unpacked / "DEBIAN/control"
    text = control.read_text(encoding="utf-8")
    found = _VERSION.search(text)
    assert found is not None
    version = f"{found[1]}.broken"
    control.write_text(_VERSION.sub(f"Version: {version}", text), encoding="utf-8")
    made = into / package.name.replace(f"_{found[1]}_", f"_{version}_")
    # Packed fast: nobody keeps it.
    _run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(unpacked), str(made))
    shutil.rmtree(unpacked)
    return made


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr
