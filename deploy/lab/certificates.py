"""The lab's public CA: it signs what SIP phones see of a node, as any CA on the internet would.

In: the farm's name, nodes. Out: `sip-ca/ca.pem`, which phones of the lab trust, and in each node's
etc `sip.pem` and `sip.key`. It has nothing to do with the farm's own CA, which signs links.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.lab import layout
from deploy.lab.layout import Host
from overlay.identity import files, keys

DIRECTORY: Final = layout.STATE_DIR / "sip-ca"
AUTHORITY: Final = DIRECTORY / "ca.pem"
_AUTHORITY_KEY: Final = DIRECTORY / "ca.key"
_LIFETIME: Final = timedelta(days=30)


def create() -> None:
    """Make the CA."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    key = keys.generate()
    subject = _name("sipfarm lab, SIP CA")
    start = datetime.now(UTC) - timedelta(minutes=5)
    certificate = (
        _builder(subject, subject, key.public_key(), start, start + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    keys.save(key, _AUTHORITY_KEY)
    files.write_public(AUTHORITY, files.pem(certificate))


def issue(node: Host, farm: str, *, lifetime: timedelta = _LIFETIME) -> None:
    """A new key and a certificate for the node, which names it and the farm; with a negative
    lifetime one that has expired."""
    authority = x509.load_pem_x509_certificate(AUTHORITY.read_bytes())
    authority_key = keys.load(_AUTHORITY_KEY)
    key = keys.generate()
    names = [x509.DNSName(farm), x509.DNSName(f"{node.name}.{farm}")]
    end = datetime.now(UTC) + lifetime
    start = min(datetime.now(UTC), end) - timedelta(minutes=5)
    certificate = (
        _builder(_name(farm), authority.subject, key.public_key(), start, end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    keys.save(key, key_file(node))
    files.write_public(certificate_file(node), files.pem(certificate))


def certificate_file(node: Host) -> Path:
    """Where a node's certificate is."""
    return node.etc / "sip.pem"


def key_file(node: Host) -> Path:
    """Where its private key is."""
    return node.etc / "sip.key"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
