"""The version of this process, and the version that is installed on disk by now.

In: the metadata of the installed package. Out: two texts. They differ between an upgrade and the
restart that brings the upgrade into force.
"""

from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

VERSION: Final = distribution("sipfarm").version
_FOLDER: Final = Path(str(distribution("sipfarm").locate_file("")))
_AGE_S_MAX: Final = 1.0


class Installed:
    """The version on disk. It is looked up only when somebody asks, and at most once a second."""

    def __init__(self, now_s: Callable[[], float], folder: Path = _FOLDER) -> None:
        """`now_s` is a clock that never goes back, in seconds; `folder` contains the package's
        metadata."""
        self._now_s = now_s
        self._folder = folder
        self._looked_s = float("-inf")
        self._version = ""

    def version(self) -> str:
        """The version on disk; empty if none is installed, as for a moment while a package is
        replaced."""
        if self._now_s() - self._looked_s >= _AGE_S_MAX:
            self._version = _installed(self._folder)
            self._looked_s = self._now_s()
        return self._version


def _installed(folder: Path) -> str:
    # importlib's lookup by name is no use here. It remembers its findings until the folder's
    # modification time changes, and an archive that is unpacked may set that time back.
    try:
        found = [
            Distribution.at(path).version
            for path in folder.glob("sipfarm-*.dist-info")
            if (path / "METADATA").is_file()
        ]
    except OSError:
        return ""
    # While an upgrade replaces one version by another, the metadata of both is there for a moment.
    return next((each for each in found if each != VERSION), found[0] if found else "")
