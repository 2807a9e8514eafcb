"""Plays the public CA for a farm under test: signs the certificates that nodes show to SIP phones.

In: a directory, DNS names. Out: `ca.pem` in the directory, which phones must trust; keys and
certificates. Counterparts: the lab (`lab/certificates.py`); the test hosts. This CA has nothing to
do with the farm's own CA, which signs the certificates of links between nodes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overlay.identity import files, keys

LIFETIME: Final = timedelta(days=30)


class SipAuthority:
    """A CA whose key and certificate are files in one directory."""

    def __init__(self, directory: Path) -> None:
        self.certificate = directory / "ca.pem"
        """The file with the CA's own certificate, which phones must trust."""
        self._key = directory / "ca.key"

    def create(self) -> None:
        """Make the CA's key and certificate."""
        self.certificate.parent.mkdir(parents=True, exist_ok=True)
        key = keys.generate()
        subject = _name("sipfarm lab, SIP CA")
        start = datetime.now(UTC) - timedelta(minutes=5)
        public = key.public_key()
        certificate = (
            _builder(subject, subject, public, start, start + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(key, hashes.SHA256())
        )
        keys.save(key, self._key)
        files.write_public(self.certificate, files.pem(certificate))

    def issue(
        self, names: Sequence[str], certificate_file: Path, key_file: Path, lifetime: timedelta
    ) -> None:
        """Make a new key and a certificate for these DNS names. With a negative lifetime, the
        certificate has expired already."""
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        key = keys.generate()
        end = datetime.now(UTC) + lifetime
        start = min(datetime.now(UTC), end) - timedelta(minutes=5)
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = (
            _builder(_name(names[0]), authority.subject, key.public_key(), start, end)
            .add_extension(alternative, critical=False)
            .sign(keys.load(self._key), hashes.SHA256())
        )
        keys.save(key, key_file)
        files.write_public(certificate_file, files.pem(certificate))


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
