"""The certificate that a node shows to SIP phones (RFC 5922), and the reason why it cannot be used.

In: the files that `[proxy]` names; the time. Out: nothing, or what is wrong with the files, in
words. Counterparts: `proxy/render.py`, which serves TLS only with a certificate that phones would
accept; `sipfarm check-config`, which says what is wrong.
"""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from overlay.config.config import Config


def problem(config: Config, now: datetime | None = None) -> str:
    """Why the node cannot serve TLS at `now` (default: this moment); empty if it can, or is not
    configured to."""
    proxy = config.proxy
    if not (proxy.tls_port or proxy.wss_port):
        return ""
    try:
        certificate = x509.load_pem_x509_certificate(Path(proxy.tls_certificate).read_bytes())
    except OSError as error:
        return f"{proxy.tls_certificate}: {error.strerror}"
    except (ValueError, UnsupportedAlgorithm):
        return f"{proxy.tls_certificate}: is not a certificate in PEM"
    try:
        key = load_pem_private_key(Path(proxy.tls_key).read_bytes(), None)
    except OSError as error:
        return f"{proxy.tls_key}: {error.strerror}"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{proxy.tls_key}: is not a private key in PEM without a password"
    if key.public_key() != certificate.public_key():
        return f"{proxy.tls_key}: is not the key of {proxy.tls_certificate}"
    now = now or datetime.now(UTC)
    if now < certificate.not_valid_before_utc:
        start = certificate.not_valid_before_utc.isoformat()
        return f"{proxy.tls_certificate}: is valid only from {start}"
    if now > certificate.not_valid_after_utc:
        end = certificate.not_valid_after_utc.isoformat()
        return f"{proxy.tls_certificate}: expired at {end}"
    if not Path(proxy.tls_ca).is_file():
        return f"{proxy.tls_ca}: is not there"
    if not any(covers(name, config.farm.name) for name in _names(certificate)):
        return f"{proxy.tls_certificate}: does not name {config.farm.name}; phones would refuse it"
    return ""


def servable(config: Config, now: datetime | None = None) -> tuple[str, ...]:
    """The transports besides UDP and TCP that the node can serve with its files as they are now."""
    encrypted = () if problem(config, now) else ("tls", "wss")
    ports = config.proxy.further_ports
    return tuple(name for name in ports if name in encrypted or name == "ws")


def covers(name: str, host: str) -> bool:
    """Whether a certificate's DNS name covers the host; `*` stands for one whole label."""
    name, host = name.lower(), host.lower()
    if name.startswith("*."):
        return name[2:] == host.partition(".")[2]
    return name == host


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)
