"""Packs the .deb so that the same files make the same bytes.

In: the package's files with their DEBIAN folder, and a date. Out: the .deb. Counterpart:
`build.py`.
"""

import os
from pathlib import Path

from deploy.packaging.commands import run


def pack(package: Path, into: Path, date: int) -> Path:
    """Pack `package`; all files get that date, and modes that do not depend on who builds."""
    for path in (package, *package.rglob("*")):
        if not path.is_symlink():
            # Of the Python packages some say of files that they are programs, and none is.
            is_program = path.parent.name in ("bin", "DEBIAN") and path.stat().st_mode & 0o100
            path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        os.utime(path, (date, date), follow_symlinks=False)
    made = into / "made.deb"
    # One thread, as several ones compress to other bytes.
    run(
        [
            "dpkg-deb",
            *("--root-owner-group", "-Zzstd", "-z9", "--threads-max=1"),
            *("--build", package, made),
        ],
        SOURCE_DATE_EPOCH=str(date),
    )
    return made
