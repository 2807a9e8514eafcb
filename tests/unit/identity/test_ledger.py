"""The ledger outlives a crash, or a full disk, in the middle of an entry."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from overlay.base.errors import IdentityError
from overlay.identity import files, ledger
from overlay.identity.ledger import Issued

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def entry(node: str) -> Issued:
    return Issued(
        serial="1f", node=node, address="192.0.2.1", node_id="0" * 40, issued_at=NOW, expires_at=NOW
    )


def add(directory: Path, *nodes: str) -> None:
    for node in nodes:
        with ledger.locked(directory) as lines:
            lines.append(entry(node))


def nodes(directory: Path) -> list[str]:
    return [each.node for each in ledger.read(directory)]


@pytest.mark.parametrize("cut", range(1, len(msgspec.json.encode(entry("n2"))) + 1, 7))
def test_an_entry_that_a_crash_cut_off_is_no_entry(tmp_path: Path, cut: int) -> None:
    add(tmp_path, "n1", "n2")
    path = tmp_path / files.ISSUED
    os.truncate(path, path.stat().st_size - cut)
    assert nodes(tmp_path) == ["n1"]
    add(tmp_path, "n3")
    assert nodes(tmp_path) == ["n1", "n3"]


def test_a_broken_line_before_the_last_one_is_told(tmp_path: Path) -> None:
    add(tmp_path, "n1", "n2")
    path = tmp_path / files.ISSUED
    path.write_bytes(b"{\n" + path.read_bytes())
    with pytest.raises(IdentityError, match=f"{files.ISSUED}:1"):
        ledger.read(tmp_path)


def test_an_entry_that_the_disk_refuses_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "n1")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with ledger.locked(tmp_path) as lines:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(IdentityError, match="No space left"):
                lines.append(entry("n2"))
        lines.append(entry("n3"))
        assert [each.node for each in lines.entries] == ["n1", "n3"]
    assert nodes(tmp_path) == ["n1", "n3"]
