"""Packs the .deb, so that the same files always make the same bytes.

In: the package's files with their DEBIAN folder, and a date. Out: the .deb. Counterpart:
`build.py`.
"""

import os
from pathlib import Path

from deploy.packaging.commands import run


def pack(package: Path, into: Path, date: int) -> Path:
    """Pack the folder `package`; returns the path of the .deb in `into`.

    All files get this date (Unix time), and modes that do not depend on the builder's umask.
    """
    for path in (package, *package.rglob("*")):
        if not path.is_symlink():
            # Some Python packages mark files as executable that are no programs.
            is_program = path.parent.name in ("bin", "DEBIAN") and path.stat().st_mode & 0o100
            path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        os.utime(path, (date, date), follow_symlinks=False)
    made = into / "made.deb"
    # One thread alone, as several threads would compress to other bytes.
    run(
        [
            "dpkg-deb",
            *("--root-owner-group", "-Zzstd", "-z9", "--threads-max=1"),
            *("--build", package, made),
        ],
        SOURCE_DATE_EPOCH=str(date),
    )
    return made
