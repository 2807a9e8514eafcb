"""The farm's CA: what it signs, what it refuses, what it remembers."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overlay.base.errors import IdentityError
from overlay.identity import ca, files, keys, request
from overlay.identity.identity import load_certificate

from .conftest import FARM, Enrolled


def test_a_ca_is_made_once(tmp_path: Path) -> None:
    ca.create(tmp_path, FARM)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["ca.key", "ca.pem", "farm.secret", "operator.key", "operator.pem"]
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "farm.secret").stat().st_mode & 0o777 == 0o600
    with pytest.raises(IdentityError, match="is there already; nothing was changed"):
        ca.create(tmp_path, FARM)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("farm", ["", "farm", "Farm.Test", "a..b", "a b.test", "x" * 60 + ".test"])
def test_a_ca_needs_a_domain_name_that_a_certificate_can_carry(tmp_path: Path, farm: str) -> None:
    with pytest.raises(IdentityError, match="farm name"):
        ca.create(tmp_path / "ca", farm)
    assert not (tmp_path / "ca").exists()


def test_openssl_accepts_what_the_ca_issues(enrolled: Enrolled) -> None:
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose]
        files_of = ["-CAfile", str(enrolled.ca / "ca.pem"), str(enrolled.node / "node.pem")]
        done = subprocess.run([*command, *files_of], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_issue_makes_a_whole_identity(enrolled: Enrolled) -> None:
    made = sorted(path.name for path in enrolled.node.iterdir())
    assert made == ["ca.pem", "farm.secret", "node.key", "node.pem", "operator.pem"]
    assert files.read_farm_secret(enrolled.node) == files.read_farm_secret(enrolled.ca)
    certificate = load_certificate(enrolled.node / "node.pem")
    now = datetime.now(UTC)
    assert timedelta(minutes=4) < now - certificate.not_valid_before_utc < timedelta(minutes=6)
    assert timedelta(364) < certificate.not_valid_after_utc - now <= timedelta(365)


def test_no_certificate_outlives_the_ca(tmp_path: Path) -> None:
    ca.create(tmp_path / "ca", FARM, days=30)
    ca.issue(tmp_path / "ca", FARM, "n1", "192.0.2.1", tmp_path / "n1")
    authority = load_certificate(tmp_path / "ca" / "ca.pem")
    node = load_certificate(tmp_path / "n1" / "node.pem")
    assert node.not_valid_after_utc == authority.not_valid_after_utc


def test_the_ledger_lists_what_was_issued(enrolled: Enrolled) -> None:
    ca.issue(enrolled.ca, FARM, "n2", "2001:db8::2", enrolled.node.parent / "n2")
    first, second = ca.issued(enrolled.ca)
    assert (first.node, first.address) == ("n1", "192.0.2.1")
    assert (second.node, second.address) == ("n2", "2001:db8::2")
    certificate = load_certificate(enrolled.node / "node.pem")
    assert int(first.serial, 16) == certificate.serial_number
    assert first.node_id == keys.node_id(certificate.public_key()).hex()
    assert first.expires_at == certificate.not_valid_after_utc


def test_a_damaged_ledger_is_reported_not_extended(enrolled: Enrolled) -> None:
    path = enrolled.ca / files.ISSUED
    path.write_bytes(path.read_bytes() + b"{torn\n")
    with pytest.raises(IdentityError, match=r"issued.jsonl:2: "):
        ca.issued(enrolled.ca)
    with pytest.raises(IdentityError, match=r"issued.jsonl:2: "):
        ca.issue(enrolled.ca, FARM, "n2", "192.0.2.2", enrolled.node.parent / "n2")


def test_a_name_stays_with_its_key_until_it_is_replaced(enrolled: Enrolled) -> None:
    with pytest.raises(IdentityError, match="the name n1 belongs to the node"):
        ca.issue(enrolled.ca, FARM, "n1", "192.0.2.9", enrolled.node)
    key = keys.load(enrolled.node / "node.key")
    renewed = ca.sign(enrolled.ca, request.make(key, FARM, "n1", "192.0.2.1"), "n1", "192.0.2.1")
    assert b"BEGIN CERTIFICATE" in renewed
    ca.issue(enrolled.ca, FARM, "n1", "192.0.2.9", enrolled.node, replace=True)
    assert len({entry.node_id for entry in ca.issued(enrolled.ca)}) == 2


def test_names_come_from_the_operator_not_from_the_request(enrolled: Enrolled) -> None:
    key = keys.generate()
    csr = request.make(key, FARM, "root", "192.0.2.66")
    asked = request.read(csr)
    assert (asked.node, asked.address) == ("root", "192.0.2.66")
    assert asked.node_id == keys.node_id(key.public_key())
    certificate = x509.load_pem_x509_certificate(ca.sign(enrolled.ca, csr, "n7", "192.0.2.7"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n7.farm.test", "farm.test"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("node", "address"),
    [
        ("N1", "192.0.2.1"),
        ("n1.x", "192.0.2.1"),
        ("-n1", "192.0.2.1"),
        ("*", "192.0.2.1"),
        ("n2", "0.0.0.0"),
        ("n2", "::"),
        ("n2", "224.0.0.1"),
        ("n2", "fe80::1%eth0"),
        ("n2", "farm.test"),
    ],
)
def test_names_that_no_node_can_have_are_refused(
    enrolled: Enrolled, node: str, address: str
) -> None:
    csr = request.make(keys.generate(), FARM, "n2", "192.0.2.2")
    with pytest.raises(IdentityError, match=r"node (name|address)"):
        ca.sign(enrolled.ca, csr, node, address)
    assert len(ca.issued(enrolled.ca)) == 1


def _foreign_request() -> bytes:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "n2")])
    builder = x509.CertificateSigningRequestBuilder(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _forged_request() -> bytes:
    der = bytearray(
        x509.load_pem_x509_csr(request.make(keys.generate(), FARM, "n2", "192.0.2.2")).public_bytes(
            serialization.Encoding.DER
        )
    )
    der[der.index(b"n2")] ^= 1
    forged = x509.load_der_x509_csr(bytes(der))
    return forged.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("csr", "complaint"),
    [
        (b"", "not a certificate signing request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "not a certificate signing request"),
        (_foreign_request(), "not an EC key on P-256"),
        (_forged_request(), "not signed by the key"),
    ],
)
def test_bad_requests_are_refused(enrolled: Enrolled, csr: bytes, complaint: str) -> None:
    with pytest.raises(IdentityError, match=complaint):
        ca.sign(enrolled.ca, csr, "n2", "192.0.2.2")


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_absurd_lifetimes_are_refused(enrolled: Enrolled, days: int) -> None:
    with pytest.raises(IdentityError, match="valid for 1 to"):
        ca.issue(enrolled.ca, FARM, "n2", "192.0.2.2", enrolled.node.parent / "n2", days)


def test_another_cas_key_is_refused(enrolled: Enrolled, tmp_path: Path) -> None:
    keys.save(keys.generate(), enrolled.ca / "ca.key")
    with pytest.raises(IdentityError, match=r"ca.key is not the key of ca.pem"):
        ca.issue(enrolled.ca, FARM, "n2", "192.0.2.2", tmp_path / "n2")


def test_a_ca_serves_its_own_farm_alone(enrolled: Enrolled, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"is the CA of the farm farm.test, not of other.test"):
        ca.issue(enrolled.ca, "other.test", "n2", "192.0.2.2", tmp_path / "n2")
