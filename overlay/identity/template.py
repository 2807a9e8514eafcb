"""Says what the farm's certificates contain (RFC 5280), and which names may stand in them.

In: names, keys, times. Out: certificate builders for `ca.py` to sign. Counterpart: `peer.py` reads
node certificates back.
"""

import ipaddress
import re
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from overlay.base.errors import IdentityError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

FARM_CHARS_MAX: Final = 64
"""How many characters an organization name may have (RFC 5280 A.1, ub-organization-name)."""

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def checked_farm(farm: str) -> str:
    """The farm's name, if a certificate can carry it. Raises `IdentityError` if not."""
    labels = farm.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise IdentityError(f"farm name {farm!r} is not a lower-case domain name")
    if len(farm) > FARM_CHARS_MAX:
        raise IdentityError(f"farm name {farm!r} is longer than {FARM_CHARS_MAX} characters")
    return farm


def checked_node(node: str) -> str:
    """The node's name, if it is one DNS label. Raises `IdentityError` if not."""
    if not _LABEL.fullmatch(node):
        raise IdentityError(f"node name {node!r} is not a lower-case DNS label")
    return node


def checked_address(address: str) -> IpAddress:
    """The address, if others can reach a node at it. Raises `IdentityError` if not."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise IdentityError(f"node address {address!r} is not an IP address") from error
    if ip.is_unspecified or ip.is_multicast or getattr(ip, "scope_id", None):
        raise IdentityError(f"node address {address} cannot be reached by others")
    return ip


def node_subject(farm: str, node: str) -> x509.Name:
    """The subject of a node's certificate: its farm and its name."""
    return _subject(checked_farm(farm), checked_node(node))


def node_names(farm: str, node: str, address: IpAddress) -> x509.SubjectAlternativeName:
    """The names in a node's certificate: its own, the farm's and its address."""
    return x509.SubjectAlternativeName(
        [x509.DNSName(f"{node}.{farm}"), x509.DNSName(farm), x509.IPAddress(address)]
    )


def ca_certificate(
    farm: str, public_key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    """A self-signed CA certificate. The CA can sign certificates of this farm alone, and of no
    further CA."""
    subject = _subject(checked_farm(farm), "sipfarm CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    constraints = x509.NameConstraints([x509.DNSName(farm)], None)
    return (
        _builder(subject, subject, public_key, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .add_extension(constraints, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_authority_of(identifier), critical=False)
    )


def node_certificate(
    authority: x509.Certificate,
    names: tuple[str, str, IpAddress],
    public_key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    """A node's certificate, for both ends of a TLS link. `names` are farm, node and address."""
    farm, node, address = names
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        _builder(node_subject(farm, node), authority.subject, public_key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(node_names(farm, node, address), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(_authority_of(issuer), critical=False)
    )


def service_name(farm: str) -> str:
    """The host name of the enrollment service. No node can have it, because a node's name is one
    label."""
    return f"service.enrollment.{farm}"


def service_certificate(
    authority: x509.Certificate,
    farm: str,
    public_key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    """The enrollment service's certificate. It is of no use to a node, whose certificate must have
    an address."""
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = x509.SubjectAlternativeName([x509.DNSName(service_name(farm))])
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    subject = _subject(checked_farm(farm), "enrollment service")
    return (
        _builder(subject, authority.subject, public_key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(_authority_of(issuer), critical=False)
    )


def _subject(organization: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _authority_of(issuer: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer)


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
