"""Certificate signing requests: how a node asks the farm's CA for its certificate.

In: a node's key and names, or a request in PEM. Out: the request, or what it asks for. Counterpart:
`ca.sign`.
"""

import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overlay.base.errors import IdentityError
from overlay.identity import keys, template


@dataclass(frozen=True, kw_only=True)
class Requested:
    """What a signing request asks for. Its signature proves the key, and proves nothing of the
    names."""

    node: str
    """Empty if the request names none."""
    address: str
    """Empty if the request names none."""
    public_key: ec.EllipticCurvePublicKey

    @property
    def node_id(self) -> bytes:
        """The 20-byte id of the node with this key."""
        return keys.node_id(self.public_key)


def make(key: ec.EllipticCurvePrivateKey, farm: str, node: str, address: str) -> bytes:
    """A signing request in PEM for a node's key.

    `address` is an IPv4 or IPv6 address. Raises `IdentityError` for a name or an address that a
    node cannot have.
    """
    ip = template.checked_address(address)
    builder = x509.CertificateSigningRequestBuilder(template.node_subject(farm, node))
    builder = builder.add_extension(template.node_names(farm, node, ip), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read(csr_pem: bytes) -> Requested:
    """What a request asks for. Raises `IdentityError` if it is broken or not signed by its own
    key."""
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        valid = request.is_signature_valid
        public_key = request.public_key()
        nodes = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        addresses = _addresses(request)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise IdentityError(f"not a certificate signing request in PEM: {error}") from error
    if not valid:
        raise IdentityError("the signing request is not signed by the key that it names")
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not keys.is_allowed(public_key):
        raise IdentityError("the signing request's key is not an EC key on P-256")
    return Requested(
        node=str(nodes[0].value) if len(nodes) == 1 else "",
        address=str(addresses[0]) if len(addresses) == 1 else "",
        public_key=public_key,
    )


def _addresses(request: x509.CertificateSigningRequest) -> list[template.IpAddress]:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    found = names.get_values_for_type(x509.IPAddress)
    return [a for a in found if isinstance(a, ipaddress.IPv4Address | ipaddress.IPv6Address)]
