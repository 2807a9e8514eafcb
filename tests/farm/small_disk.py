"""Gives a lab node a disk that is small enough to be filled to its last byte.

In: a lab that is ready. Out: the node's daemon, started again with its data on a tmpfs; a file
beside its databases that takes all free space or none. Counterpart: `ledger.py`.
"""

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from deploy.lab import Lab
from tests.closing import Closing
from tests.farm.asking import eventually

MIB = 1 << 20


class SmallDisk(Closing):
    """One node's, as long as this is entered; the lab is not to be used on that node after it."""

    def __init__(self, lab: Lab, node: str) -> None:
        self._lab = lab
        self._node = node
        self._path = lab.node(node).data
        self._ballast = self._path / "ballast"
        self._short_before = 0

    def __enter__(self) -> Self:
        room = self._lab.config(self._node).storage.free_bytes_min + 64 * MIB
        self._lab.stop(self._node, "overlay")
        with tempfile.TemporaryDirectory(prefix="sipfarm-data-") as aside:
            shutil.copytree(self._path, aside, dirs_exist_ok=True)
            options = ["-t", "tmpfs", "-o", f"size={room},mode=0755", "tmpfs"]
            subprocess.run(["mount", *options, str(self._path)], check=True)
            shutil.copytree(aside, self._path, dirs_exist_ok=True)
        self._lab.start(self._node, "overlay")
        self._lab.wait_ready(every_service=True)
        return self

    def close(self) -> None:
        """Give the node its disk back; its daemon is down."""
        self._lab.kill(self._node, "overlay")
        subprocess.run(["umount", "-l", str(self._path)], check=True)

    def fill(self) -> None:
        """Leave no room, and wait until the daemon has met that."""
        self._short_before = self._complaints()
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(MIB))
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
        # What is smaller than a page of the ballast fits no row, either.
        assert os.statvfs(self._path).f_bavail == 0
        eventually(self.was_met, f"the daemon of {self._node} cannot write")

    def was_met(self) -> bool:
        """Whether the daemon has logged that its disk is full, since it was filled."""
        return self._complaints() > self._short_before

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def _complaints(self) -> int:
        log: Path = self._lab.node(self._node).log("overlay")
        text = log.read_text(encoding="utf-8", errors="replace")
        return text.count("disk is full") + text.count("disk is short of space")
