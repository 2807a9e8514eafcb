"""Keys of nodes and of the farm's CA, and the node ids that are made from them.

In: key files, public keys. Out: EC P-256 keys and 20-byte node ids. Counterparts: `ca.py` signs the
keys that are generated here; `peer.py` takes a peer's id from its certificate.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from overlay.base.errors import IdentityError
from overlay.identity import files


def generate() -> ec.EllipticCurvePrivateKey:
    """A new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def save(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    """Write the key to `path` as unencrypted PKCS #8 PEM, mode 0600."""
    files.write_secret(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def load(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in the file at `path`. Raises `IdentityError` if the file is missing, broken or
    readable by others."""
    data = files.read_secret(path)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"{path}: is not an unencrypted private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not is_allowed(key.public_key()):
        raise IdentityError(f"{path}: is not an EC key on P-256")
    return key


def is_allowed(key: object) -> bool:
    """Whether a public key is of the one kind that the farm uses."""
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def node_id(public_key: PublicKeyTypes) -> bytes:
    """The 20-byte id of the node with this key: SHA-1 over its SubjectPublicKeyInfo in DER.

    SHA-1 places nodes and records in one 160-bit space. A second key with the same id would take a
    second preimage, and a certificate.
    """
    information = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashes.Hash(hashes.SHA1())
    digest.update(information)
    return digest.finalize()
