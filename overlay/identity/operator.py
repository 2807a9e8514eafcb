"""The operator's signature: no node can make up what the operator decided.

In: the operator's key, or its public part, and the bytes to be signed. Out: signatures, and whether
a signature holds. Counterparts: `sipfarm` signs on the operator's machine; the nodes, which have
the public part alone, check. Each kind of record is signed under a name of its own (`purpose`), so
that a signature under one name is worth nothing under another.
"""

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from overlay.base.errors import IdentityError
from overlay.identity import files


class Operator:
    """The public part of the operator's key (Ed25519, RFC 8032)."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def has_signed(self, purpose: bytes, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is the operator's over `data`, for this purpose."""
        try:
            self._key.verify(signature, _message(purpose, data))
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """The public key in PEM."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class OperatorKey:
    """The operator's key. It stays off the nodes."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> Operator:
        """The public part, which the nodes have."""
        return Operator(self._key.public_key())

    def sign(self, purpose: bytes, data: bytes) -> bytes:
        """The signature over `data` for this purpose: 64 bytes."""
        return self._key.sign(_message(purpose, data))

    def save(self, directory: Path) -> None:
        """Write operator.key (0600) and operator.pem into `directory`."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files.write_secret(directory / files.OPERATOR_KEY, pem)
        files.write_public(directory / files.OPERATOR_PUBLIC, self.public.pem())


def generate() -> OperatorKey:
    """A new key."""
    return OperatorKey(Ed25519PrivateKey.generate())


def load(path: Path) -> Operator:
    """The public key in the file at `path`. Raises `IdentityError`."""
    try:
        key = serialization.load_pem_public_key(files.read_public(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"{path}: is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise IdentityError(f"{path}: is not an Ed25519 key")
    return Operator(key)


def load_key(path: Path) -> OperatorKey:
    """The key in the file at `path`. Raises `IdentityError` if the file is missing, broken or
    readable by others."""
    data = files.read_secret(path)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"{path}: is not an unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise IdentityError(f"{path}: is not an Ed25519 key")
    return OperatorKey(key)


def _message(purpose: bytes, data: bytes) -> bytes:
    return b"sipfarm " + purpose + b"\0" + data
