"""This node's identity: its key, its certificate, the farm's CA, and TLS made from them.

In: the files of `node.identity_dir`. Out: an `Identity` that has been checked against the
configuration, or an `IdentityError` that says what to mend. Counterparts: `ca.issue` and `sipfarm
ca sign` make the files.
"""

import ipaddress
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overlay.base.errors import IdentityError
from overlay.config.config import Config
from overlay.identity import files, keys, operator, revocations
from overlay.identity.operator import Operator
from overlay.identity.peer import Peer, peer_of_certificate
from overlay.identity.revocations import Revocations


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which node this is, and what proves it to the others."""

    node_id: bytes
    """20 bytes, made from the node's key."""
    name: str
    farm: str
    address: str
    expires_at: datetime
    """When the certificate expires, UTC."""
    farm_secret: str = field(repr=False)
    """64 hex digits, the same on every node."""
    operator: Operator
    """The public part of the operator's key, which must have signed every record of a
    subscriber."""
    revoked: Revocations = revocations.NONE
    """The revocation list that came with the identity. The farm may have a newer one."""
    key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    """The node's key; None where nothing is signed."""
    certificate: bytes = field(default=b"", repr=False)
    """The node's certificate in DER: the CA's word that the key is this node's."""
    authority: x509.Certificate | None = field(default=None, repr=False)
    """The farm's CA; None where no other node's certificate is checked."""
    server_context: ssl.SSLContext
    """TLS for links that others open. It asks for their certificates."""
    client_context: ssl.SSLContext
    """TLS for links that this node opens. It checks no host name: the node id is checked
    instead."""


def load(config: Config, now: datetime | None = None) -> Identity:
    """The identity of the configured node at `now` (default: this moment).

    Raises `IdentityError` when a file is missing, broken or readable by others, when key,
    certificate and CA do not belong together, when the certificate is not in force, and when the
    certificate is for another farm, node or address than the configuration's.
    """
    directory = Path(config.node.identity_dir)
    now = now or datetime.now(UTC)
    authority = load_ca_certificate(directory / files.CA_CERTIFICATE)
    path = directory / files.NODE_CERTIFICATE
    certificate = load_certificate(path)
    key = keys.load(directory / files.NODE_KEY)
    _check_issuer(path, certificate, authority)
    _check_time(directory / files.CA_CERTIFICATE, authority, now)
    _check_time(path, certificate, now)
    try:
        peer = peer_of_certificate(certificate)
    except IdentityError as error:
        raise IdentityError(f"{path}: {error}") from error
    if keys.node_id(key.public_key()) != peer.node_id:
        raise IdentityError(f"{path}: is not for the key in {directory / files.NODE_KEY}")
    _check_names(path, peer, config)
    operator_key = operator.load(directory / files.OPERATOR_PUBLIC)
    return Identity(
        node_id=peer.node_id,
        name=peer.name,
        farm=peer.farm,
        address=peer.address,
        expires_at=certificate.not_valid_after_utc,
        farm_secret=files.read_farm_secret(directory),
        operator=operator_key,
        revoked=revocations.read(directory / files.REVOKED, operator_key),
        key=key,
        certificate=certificate.public_bytes(serialization.Encoding.DER),
        authority=authority,
        server_context=_context(ssl.PROTOCOL_TLS_SERVER, directory),
        client_context=_context(ssl.PROTOCOL_TLS_CLIENT, directory),
    )


def load_certificate(path: Path) -> x509.Certificate:
    """The certificate in the PEM file at `path`. Raises `IdentityError`."""
    try:
        return x509.load_pem_x509_certificate(files.read_public(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"{path}: is not a certificate in PEM") from error


def load_ca_certificate(path: Path) -> x509.Certificate:
    """The CA's certificate in the file at `path`. Raises `IdentityError` if it is not the
    certificate of a farm's CA."""
    certificate = load_certificate(path)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise IdentityError(f"{path}: is not a self-signed CA certificate") from error
    if not constraints.ca:
        raise IdentityError(f"{path}: is not a CA's certificate")
    return certificate


def farm_of_ca(authority: x509.Certificate) -> str:
    """The farm that a CA certificate is for. Raises `IdentityError` if the certificate names
    none."""
    values = authority.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if len(values) != 1 or not isinstance(values[0].value, str):
        raise IdentityError("the CA's certificate names no farm")
    return values[0].value


def _check_issuer(path: Path, certificate: x509.Certificate, authority: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise IdentityError(
            f"{path}: is not signed by the CA in {path.with_name(files.CA_CERTIFICATE)}"
        ) from error


def _check_time(path: Path, certificate: x509.Certificate, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        start = certificate.not_valid_before_utc.isoformat()
        raise IdentityError(f"{path}: is valid only from {start}; is this host's clock right?")
    if now > certificate.not_valid_after_utc:
        end = certificate.not_valid_after_utc.isoformat()
        raise IdentityError(f"{path}: expired at {end}; have the CA sign the node's key again")


def _check_names(path: Path, peer: Peer, config: Config) -> None:
    wanted = (
        ("farm", peer.farm, config.farm.name),
        ("node", peer.name, config.node.name),
        ("address", peer.address, str(ipaddress.ip_address(config.node.address))),
    )
    for what, certified, configured in wanted:
        if certified != configured:
            raise IdentityError(
                f"{path}: is for the {what} {certified}, but {configured} is configured"
            )


def _context(protocol: int, directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # A resumed session would outlive the revocation of the certificate that opened it.
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    try:
        context.load_verify_locations(cafile=str(directory / files.CA_CERTIFICATE))
        context.load_cert_chain(
            certfile=str(directory / files.NODE_CERTIFICATE),
            keyfile=str(directory / files.NODE_KEY),
        )
    except (OSError, ssl.SSLError) as error:
        raise IdentityError(f"{directory}: TLS refuses the certificates: {error}") from error
    return context
