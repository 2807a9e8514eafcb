"""The certificate for phones: which ones are served, and the reason given against others."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.identity import files, keys
from overlay.identity.sip_certificate import covers, problem, servable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _write(directory: Path, *names: str, key: ec.EllipticCurvePrivateKey | None = None) -> None:
    own = keys.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sip")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(own.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .sign(own, hashes.SHA256())
    )
    keys.save(key or own, directory / "sip.key")
    files.write_public(directory / "sip.pem", files.pem(certificate))
    (directory / "ca.pem").touch()


def _config(directory: Path, port: int = 5061) -> Config:
    proxy = {
        "tls_port": port,
        "tls_certificate": str(directory / "sip.pem"),
        "tls_key": str(directory / "sip.key"),
        "tls_ca": str(directory / "ca.pem"),
    }
    data = {
        "farm": {"name": "farm.test"},
        "node": {"name": "n1", "address": "192.0.2.1"},
        "proxy": proxy,
    }
    return configuration.parse(data, "test")


def test_a_good_one_is_served(tmp_path: Path) -> None:
    _write(tmp_path, "n1.farm.test", "farm.test")
    assert problem(_config(tmp_path), NOW) == ""
    assert servable(_config(tmp_path), NOW) == ("tls",)


def test_without_a_port_nothing_is_looked_at(tmp_path: Path) -> None:
    assert problem(_config(tmp_path, 0), NOW) == ""
    assert servable(_config(tmp_path, 0), NOW) == ()


@pytest.mark.parametrize(("days", "said"), [(2, "expired at"), (-2, "valid only from")])
def test_one_out_of_its_time_is_not(tmp_path: Path, days: int, said: str) -> None:
    _write(tmp_path, "farm.test")
    at = NOW + timedelta(days=days)
    assert said in problem(_config(tmp_path), at)
    assert servable(_config(tmp_path), at) == ()


@pytest.mark.parametrize("name", ["sip.pem", "sip.key", "ca.pem"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    _write(tmp_path, "farm.test")
    (tmp_path / name).unlink()
    assert str(tmp_path / name) in problem(_config(tmp_path), NOW)


@pytest.mark.parametrize("name", ["sip.pem", "sip.key"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str) -> None:
    _write(tmp_path, "farm.test")
    (tmp_path / name).write_text("hello", encoding="ascii")
    assert str(tmp_path / name) in problem(_config(tmp_path), NOW)


def test_anothers_key(tmp_path: Path) -> None:
    _write(tmp_path, "farm.test", key=keys.generate())
    assert "is not the key of" in problem(_config(tmp_path), NOW)


def test_one_for_another_name(tmp_path: Path) -> None:
    _write(tmp_path, "n1.farm.test")
    assert "does not name farm.test" in problem(_config(tmp_path), NOW)


@pytest.mark.parametrize(
    ("name", "host", "good"),
    [
        ("farm.test", "farm.test", True),
        ("FARM.test", "farm.test", True),
        ("*.farm.test", "sip.farm.test", True),
        ("*.farm.test", "farm.test", False),
        ("*.test", "sip.farm.test", False),
        ("*", "farm.test", False),
    ],
)
def test_names(name: str, host: str, good: bool) -> None:
    assert covers(name, host) is good
