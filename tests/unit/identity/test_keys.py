"""Keys, and the node ids made from them."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from overlay.base.errors import IdentityError
from overlay.identity import files, keys
from overlay.identity.peer import peer_of_certificate

from .conftest import Enrolled


def test_a_key_survives_its_file(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "node.key")
    again = keys.load(tmp_path / "node.key")
    assert keys.node_id(again.public_key()) == keys.node_id(key.public_key())
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600


def test_the_node_id_is_what_openssl_says(enrolled: Enrolled) -> None:
    der = subprocess.run(
        ["openssl", "pkey", "-in", enrolled.node / "node.key", "-pubout", "-outform", "DER"],
        check=True,
        capture_output=True,
    ).stdout
    certificate = subprocess.run(
        ["openssl", "x509", "-in", enrolled.node / "node.pem", "-outform", "DER"],
        check=True,
        capture_output=True,
    ).stdout
    node_id = hashlib.sha1(der).digest()
    assert peer_of_certificate(x509.load_der_x509_certificate(certificate)).node_id == node_id
    assert keys.node_id(keys.load(enrolled.node / "node.key").public_key()) == node_id


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: str = "") -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not an unencrypted private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not an unencrypted"),
        (_pem(keys.generate(), "secret"), "not an unencrypted"),
        (_pem(keys.generate())[:100], "not an unencrypted"),
        (_pem(ec.generate_private_key(ec.SECP384R1())), "not an EC key on P-256"),
        (_pem(ed25519.Ed25519PrivateKey.generate()), "not an EC key on P-256"),
    ],
    ids=("empty", "damaged", "encrypted", "cut", "on P-384", "Ed25519"),
)
def test_a_file_without_a_good_key_is_refused(tmp_path: Path, data: bytes, complaint: str) -> None:
    files.write_secret(tmp_path / "node.key", data)
    with pytest.raises(IdentityError, match=rf"node.key: is {complaint}"):
        keys.load(tmp_path / "node.key")
