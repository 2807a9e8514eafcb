"""Reads from a certificate which node a peer is.

In: a verified certificate, or the TLS connection that it came over. Out: a `Peer`, or an
`IdentityError` when the certificate is not one that the farm's CA makes for nodes. Counterpart:
`ca.py` writes what is read here.
"""

import ipaddress
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from overlay.base.errors import IdentityError
from overlay.identity import keys


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A node, as its certificate names it."""

    node_id: bytes
    """20 bytes, made from the node's key."""
    name: str
    farm: str
    address: str
    """The address, IPv4 or IPv6, with which the node was enrolled."""


def peer_of(connection: ssl.SSLObject | ssl.SSLSocket, farm: str = "") -> Peer:
    """The node at the other end of a TLS connection whose handshake is done.

    Raises `IdentityError` if the peer showed no certificate, or one that is not a node's, or, with
    `farm` given, one of another farm. The handshake has already verified that the CA made the
    certificate.
    """
    der = connection.getpeercert(binary_form=True)
    if not der:
        raise IdentityError("the peer showed no certificate")
    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise IdentityError("the peer's certificate cannot be parsed") from error
    peer = peer_of_certificate(certificate)
    if farm and peer.farm != farm:
        raise IdentityError(f"the peer is of the farm {peer.farm}, not of {farm}")
    return peer


def peer_of_certificate(certificate: x509.Certificate) -> Peer:
    """The node that a certificate is for. Raises `IdentityError` if it is not a node's."""
    try:
        public_key = certificate.public_key()
        name = _only(certificate.subject, NameOID.COMMON_NAME)
        farm = _only(certificate.subject, NameOID.ORGANIZATION_NAME)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension) as e:
        raise IdentityError(f"not a node's certificate: {e}") from e
    if constraints.ca:
        raise IdentityError("not a node's certificate: it is a CA's")
    if not keys.is_allowed(public_key):
        raise IdentityError("not a node's certificate: its key is not an EC key on P-256")
    if sorted(hosts) != sorted((farm, f"{name}.{farm}")):
        raise IdentityError(f"not a node's certificate: its host names are {', '.join(hosts)}")
    if len(addresses) != 1 or not isinstance(
        addresses[0], ipaddress.IPv4Address | ipaddress.IPv6Address
    ):
        raise IdentityError("not a node's certificate: it must have one address")
    return Peer(node_id=keys.node_id(public_key), name=name, farm=farm, address=str(addresses[0]))


def _only(subject: x509.Name, attribute: x509.ObjectIdentifier) -> str:
    values = subject.get_attributes_for_oid(attribute)
    if len(values) != 1 or not isinstance(values[0].value, str):
        raise ValueError(f"its subject must have one {attribute._name}")
    return values[0].value
