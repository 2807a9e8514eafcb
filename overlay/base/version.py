"""The version of this process, and that of what is installed by now.

In: the metadata of the installed package. Out: two texts that differ between an upgrade and the
restart that brings it into force.
"""

from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

VERSION: Final = distribution("sipfarm").version
_FOLDER: Final = Path(str(distribution("sipfarm").locate_file("")))
_AGE_S_MAX: Final = 1.0


class Installed:
    """The version on disk, looked at once a second at most, and when asked only."""

    def __init__(self, now_s: Callable[[], float], folder: Path = _FOLDER) -> None:
        """`now_s` is a clock that never goes back, in s; `folder` has the package's metadata."""
        self._now_s = now_s
        self._folder = folder
        self._looked_s = float("-inf")
        self._version = ""

    def version(self) -> str:
        """Empty if nothing is installed, as for a moment while a package is replaced."""
        if self._now_s() - self._looked_s >= _AGE_S_MAX:
            self._version = _installed(self._folder)
            self._looked_s = self._now_s()
        return self._version


def _installed(folder: Path) -> str:
    # Not by name: importlib remembers what it found until the folder's time of change is another,
    # and an archive may set that back.
    try:
        found = [
            Distribution.at(path).version
            for path in folder.glob("sipfarm-*.dist-info")
            if (path / "METADATA").is_file()
        ]
    except OSError:
        return ""
    # Two at a time are there while one takes the place of the other.
    return next((each for each in found if each != VERSION), found[0] if found else "")
