"""The command `deploy/package`.

In: the command line. Out: the package's path on stdout. Counterpart: `build.py`.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from deploy.packaging import wheels
from deploy.packaging.build import Order, build
from deploy.packaging.errors import PackagingError
from deploy.packaging.source import Project
from deploy.packaging.version import PackageVersion

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Make a package; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="deploy/package", description="Make the Debian package of this tree."
    )
    parser.add_argument(
        "--version",
        metavar="V",
        help="the package's version, such as 0.2.0 or 0.2.0~rc1 (default: that of pyproject.toml)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("dist"),
        metavar="DIR",
        help="where it goes (default: dist)",
    )
    parser.add_argument(
        "--fetch", action="store_true", help="only fetch what a build of this tree needs"
    )
    args = parser.parse_args()
    began_s = time.monotonic()
    cache = Path(os.environ["SIPFARM_CACHE"])
    try:
        if args.fetch:
            wheels.fetch(_ROOT / "deploy/packaging/requirements.lock", cache)
            return 0
        version = PackageVersion.parse(
            Project.read(_ROOT).version if args.version is None else args.version
        )
        made = build(
            Order(root=_ROOT, out=args.out.absolute(), version=version, cache=cache.absolute())
        )
    except PackagingError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    size_mb, took_s = made.stat().st_size / 1e6, time.monotonic() - began_s
    print(f"package: {size_mb:.1f} MB in {took_s:.1f} s", file=sys.stderr)
    print(os.path.relpath(made, _ROOT) if made.is_relative_to(_ROOT) else made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
