"""Identity files are whole or absent, and secrets are for their owner alone."""

import os
import stat
from pathlib import Path

import pytest

from overlay.base.errors import IdentityError
from overlay.base.limits import IDENTITY_FILE_BYTES_MAX
from overlay.identity import files, ledger


def test_secrets_are_for_their_owner_alone_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "node.key"
    path.parent.mkdir()
    path.write_bytes(b"old")
    path.chmod(0o666)
    files.write_secret(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files.read_secret(path) == b"new"
    assert os.listdir(path.parent) == ["node.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_secret_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    files.write_secret(path, b"x")
    path.chmod(mode)
    with pytest.raises(IdentityError, match=rf"node.key: mode {mode:04o} .*chmod 600"):
        files.read_secret(path)


def test_what_is_not_a_file_of_sane_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="is missing"):
        files.read_public(tmp_path / "none")
    with pytest.raises(IdentityError, match="Is a directory"):
        files.read_public(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(IdentityError, match="not a regular file"):
        files.read_public(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"x" * (IDENTITY_FILE_BYTES_MAX + 1))
    with pytest.raises(IdentityError, match="larger than"):
        files.read_public(tmp_path / "large")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "node.pem").mkdir()
    with pytest.raises(IdentityError, match=r"node.pem: cannot be written"):
        files.write_public(tmp_path / "node.pem", b"x")
    assert os.listdir(tmp_path) == ["node.pem"]


@pytest.mark.parametrize("text", ["", "ab", "G" * 64, "A" * 64, "0" * 65, "é" * 64])
def test_a_farm_secret_is_64_hex_digits(tmp_path: Path, text: str) -> None:
    files.write_secret(tmp_path / files.FARM_SECRET, text.encode())
    with pytest.raises(IdentityError, match=r"farm.secret: must be 64"):
        files.read_farm_secret(tmp_path)


def test_farm_secrets_are_read_as_made(tmp_path: Path) -> None:
    secret = files.new_farm_secret()
    files.write_secret(tmp_path / files.FARM_SECRET, f"{secret}\n".encode())
    assert files.read_farm_secret(tmp_path) == secret
    assert files.new_farm_secret() != secret


def test_what_root_writes_belongs_to_whom_the_directory_belongs_to(tmp_path: Path) -> None:
    directory = tmp_path / "of-a-service"
    directory.mkdir()
    if os.geteuid() == 0:
        os.chown(directory, 65_534, 65_534)
    files.write_secret(directory / "node.key", b"x")
    with ledger.locked(directory):
        pass
    owner = directory.stat()
    for path in directory.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (owner.st_uid, owner.st_gid), path


def test_a_ledger_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / files.ISSUED).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IdentityError, match="cannot be opened"), ledger.locked(tmp_path):
        pass
