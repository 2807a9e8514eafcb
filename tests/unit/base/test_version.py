"""The installed version is found, whatever importlib remembers."""

import os
from pathlib import Path

from overlay.base.version import VERSION, Installed


class Folder:
    """Installed packages, and a clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = 0.0
        self.installed = Installed(lambda: self.now_s, path)

    def install(self, version: str) -> Path:
        metadata = self.path / f"sipfarm-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: sipfarm\nVersion: {version}\n")
        # As a package does whose files have the time of its source.
        os.utime(self.path, (0, 0))
        return metadata

    def remove(self, metadata: Path) -> None:
        metadata.unlink()
        metadata.parent.rmdir()
        os.utime(self.path, (0, 0))

    def later(self) -> str:
        self.now_s += 1.0
        return self.installed.version()


def test_what_runs_here_is_installed() -> None:
    assert Installed(lambda: 0.0).version() == VERSION


def test_an_upgrade_is_seen(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    old = folder.install(VERSION)
    assert folder.later() == VERSION
    folder.install("99.0")
    assert folder.installed.version() == VERSION, "it looks once a second"
    assert folder.later() == "99.0"
    folder.remove(old)
    assert folder.later() == "99.0"


def test_nothing_installed_is_not_known(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.later() == ""
    folder.remove(folder.install(VERSION))
    (tmp_path / f"sipfarm-{VERSION}.dist-info").mkdir()
    assert folder.later() == ""
