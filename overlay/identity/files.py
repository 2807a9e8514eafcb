"""Reads and writes the files of an identity: each is written whole or not at all, and only its
owner can read a secret.

In: bytes and paths. Out: files in an identity or CA directory, or an `IdentityError` that names the
file and what is wrong with it. Counterparts: `keys.py`, `ca.py`, `identity.py`.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from overlay.base.errors import IdentityError
from overlay.base.limits import IDENTITY_FILE_BYTES_MAX

NODE_KEY: Final = "node.key"
NODE_CERTIFICATE: Final = "node.pem"
CA_KEY: Final = "ca.key"
CA_CERTIFICATE: Final = "ca.pem"
FARM_SECRET: Final = "farm.secret"
OPERATOR_KEY: Final = "operator.key"
OPERATOR_PUBLIC: Final = "operator.pem"
REVOKED: Final = "revoked.list"
TOKENS: Final = "tokens.jsonl"
SERVICE_KEY: Final = "service.key"
SERVICE_CERTIFICATE: Final = "service.pem"
SERVICE_ADDRESS: Final = "service.address"
ISSUED: Final = "issued.jsonl"

SECRET_HEX_DIGITS: Final = 64

_SECRET_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644
_GROUP_MODE: Final = 0o640
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_secret(path: Path, data: bytes) -> None:
    """Replace the file at `path` by one with this content, mode 0600. It is on disk when this
    returns."""
    _write(path, data, _SECRET_MODE)


def write_public(path: Path, data: bytes) -> None:
    """Replace the file at `path` by one with this content, mode 0644. It is on disk when this
    returns."""
    _write(path, data, _PUBLIC_MODE)


def write_for_group(path: Path, data: bytes) -> None:
    """Replace the file at `path` by one with this content, mode 0640. It is on disk when this
    returns."""
    _write(path, data, _GROUP_MODE)


def read_secret(path: Path) -> bytes:
    """The content of a file that only its owner may read. Raises `IdentityError` if others can read
    it."""
    return _read(path, secret=True)


def read_public(path: Path, bytes_max: int = IDENTITY_FILE_BYTES_MAX) -> bytes:
    """The content of a file that anybody may read. Raises `IdentityError` if it is not there."""
    return _read(path, secret=False, bytes_max=bytes_max)


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def new_farm_secret() -> str:
    """A secret for `farm.secret`: 256 random bits as hex digits."""
    return secrets.token_hex(SECRET_HEX_DIGITS // 2)


def read_farm_secret(directory: Path) -> str:
    """The secret that all nodes of the farm share. Raises `IdentityError`."""
    path = directory / FARM_SECRET
    text = read_secret(path).decode("ascii", "replace").strip()
    if len(text) != SECRET_HEX_DIGITS or not set(text) <= set("0123456789abcdef"):
        raise IdentityError(f"{path}: must be {SECRET_HEX_DIGITS} lower-case hex digits")
    return text


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                give_to_owner_of(path.parent, file.fileno())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise IdentityError(f"{path}: cannot be written: {error.strerror}") from error


def give_to_owner_of(directory: Path, descriptor: int) -> None:
    """If root runs this, give an open file to the owner of its directory: a file in a service's
    directory belongs to the service. Raises `OSError`."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable. Raises `OSError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, *, secret: bool, bytes_max: int = IDENTITY_FILE_BYTES_MAX) -> bytes:
    try:
        # Non-blocking, so that a FIFO in place of the file is an error and not a hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise IdentityError(f"{path}: is not a regular file")
            if secret and status.st_mode & _OTHERS:
                mode = stat.S_IMODE(status.st_mode)
                raise IdentityError(f"{path}: mode {mode:04o} lets others use it; chmod 600 it")
            data = file.read(bytes_max + 1)
    except FileNotFoundError as error:
        raise IdentityError(f"{path}: is missing") from error
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > bytes_max:
        raise IdentityError(f"{path}: is larger than {bytes_max} bytes")
    return data
