"""The farm's certificate authority: a directory whose key signs each node's key, once, at
enrollment.

In: certificate signing requests. Out: node certificates. Each one is in the ledger before it is
handed out. Counterparts: `identity.py` loads the certificates and `peer.py` reads them. The
directory belongs to the operator and stays off the nodes.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from overlay.base.errors import IdentityError
from overlay.identity import files, keys, ledger, operator, request, revocations, template
from overlay.identity.identity import farm_of_ca, load_ca_certificate
from overlay.identity.ledger import Issued
from overlay.identity.revocations import Revocations

CA_DAYS: Final = 3650
NODE_DAYS: Final = 365
DAYS_MAX: Final = 36_500
BACKDATE: Final = timedelta(minutes=5)
"""How long before their making certificates begin to be valid, for hosts whose clocks are
behind."""


def create(directory: Path, farm: str, days: int = CA_DAYS, *, now: datetime | None = None) -> None:
    """Make a farm's CA in `directory`: ca.key, ca.pem, farm.secret and the operator's key.

    Raises `IdentityError` if any of them is there already: a second CA would shut out every node.
    """
    key = keys.generate()
    start, end = _validity(now or datetime.now(UTC), days)
    certificate = template.ca_certificate(farm, key.public_key(), start, end)
    made = (files.CA_KEY, files.CA_CERTIFICATE, files.FARM_SECRET, files.OPERATOR_KEY)
    for name in made:
        if (directory / name).exists():
            raise IdentityError(f"{directory / name}: is there already; nothing was changed")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise IdentityError(f"{directory}: cannot be made: {error.strerror}") from error
    keys.save(key, directory / files.CA_KEY)
    files.write_secret(directory / files.FARM_SECRET, f"{files.new_farm_secret()}\n".encode())
    operator.generate().save(directory)
    files.write_public(directory / files.CA_CERTIFICATE, _signed(certificate, key))


def sign(
    directory: Path,
    csr_pem: bytes,
    node: str,
    address: str,
    days: int = NODE_DAYS,
    *,
    replace: bool = False,
    now: datetime | None = None,
    by: str = "operator",
) -> bytes:
    """A certificate in PEM for the key of a signing request. Its names come from the arguments
    alone, never from the request. `by` tells the ledger who asked for it.

    Raises `IdentityError` if the request or a name is bad, if the node's key was revoked, and,
    without `replace`, if another key has a certificate in force for this node name: two nodes of
    one name break the routing to both.
    """
    authority, key = _load(directory)
    requested = request.read(csr_pem)
    names = (farm_of_ca(authority), template.checked_node(node), template.checked_address(address))
    now = now or datetime.now(UTC)
    start, end = _validity(now, days)
    if now > authority.not_valid_after_utc:
        raise IdentityError(f"{directory / files.CA_CERTIFICATE}: has expired")
    revoked = revocation_list(directory).node_ids
    if requested.node_id in revoked:
        raise IdentityError(f"the key of {node} was revoked; it must make a new one")
    with ledger.locked(directory) as book:
        holder = ledger.holder(book.entries, node, now)
        taken = holder not in ("", requested.node_id.hex())
        if taken and bytes.fromhex(holder) not in revoked and not replace:
            raise IdentityError(
                f"the name {node} belongs to the node {holder}, which has a key of "
                "its own; take another name, or replace that node"
            )
        builder = template.node_certificate(
            authority, names, requested.public_key, start, min(end, authority.not_valid_after_utc)
        )
        pem = _signed(builder, key)
        book.append(_entry(x509.load_pem_x509_certificate(pem), node, str(names[2]), now, by))
    return pem


def issue(
    directory: Path,
    farm: str,
    node: str,
    address: str,
    into: Path,
    days: int = NODE_DAYS,
    *,
    replace: bool = False,
    now: datetime | None = None,
) -> None:
    """Make a node's whole identity in `into`: node.key, node.pem, and the files that all nodes
    share.

    This is for hosts that the operator controls. Where the key must not travel, the node makes it
    and the CA signs the node's request. Raises `IdentityError`, also if the CA is another farm's.
    """
    authority = load_ca_certificate(directory / files.CA_CERTIFICATE)
    if farm_of_ca(authority) != farm:
        raise IdentityError(
            f"{directory}: is the CA of the farm {farm_of_ca(authority)}, not of {farm}"
        )
    secret = files.read_farm_secret(directory)
    operator_pem = operator.load(directory / files.OPERATOR_PUBLIC).pem()
    revoked = revocation_list(directory)
    key = keys.generate()
    csr_pem = request.make(key, farm, node, address)
    certificate = sign(directory, csr_pem, node, address, days, replace=replace, now=now)
    keys.save(key, into / files.NODE_KEY)
    files.write_public(into / files.NODE_CERTIFICATE, certificate)
    files.write_public(into / files.CA_CERTIFICATE, files.pem(authority))
    files.write_public(into / files.OPERATOR_PUBLIC, operator_pem)
    if revoked.version:
        revocations.write(into / files.REVOKED, revoked)
    files.write_secret(into / files.FARM_SECRET, f"{secret}\n".encode())


def make_service_certificate(directory: Path, *, now: datetime | None = None) -> None:
    """Make a key and a certificate for the enrollment service, and replace earlier ones.

    Raises `IdentityError`.
    """
    authority, ca_key = _load(directory)
    key = keys.generate()
    start, end = _validity(now or datetime.now(UTC), NODE_DAYS)
    farm = farm_of_ca(authority)
    builder = template.service_certificate(
        authority, farm, key.public_key(), start, min(end, authority.not_valid_after_utc)
    )
    keys.save(key, directory / files.SERVICE_KEY)
    files.write_public(directory / files.SERVICE_CERTIFICATE, _signed(builder, ca_key))


def revocation_list(directory: Path) -> Revocations:
    """The nodes that the operator has revoked. Raises `IdentityError`."""
    public = operator.load(directory / files.OPERATOR_PUBLIC)
    return revocations.read(directory / files.REVOKED, public)


def revoke(directory: Path, node: str, *, now: datetime | None = None) -> tuple[Revocations, str]:
    """Put a node, named by its name or by its id in hex, on the list. The new list, and the node's
    id in hex.

    Raises `IdentityError` if the node has no certificate in force. A node whose certificates have
    all expired leaves the list, because no node lets it in any more.
    """
    now = now or datetime.now(UTC)
    key = operator.load_key(directory / files.OPERATOR_KEY)
    with ledger.locked(directory) as book:
        valid = {entry.node_id for entry in book.entries if entry.expires_at > now}
        node_id = node if node in valid else ledger.holder(book.entries, node, now)
        if not node_id:
            raise IdentityError(f"{node}: no node of this name or id has a certificate in force")
        before = revocation_list(directory)
        kept = {each for each in before.node_ids if each.hex() in valid}
        version = max(int(now.timestamp() * 1000), before.version + 1)
        after = revocations.signed(version, kept | {bytes.fromhex(node_id)}, key)
        revocations.write(directory / files.REVOKED, after)
    return after, node_id


def issued(directory: Path) -> list[Issued]:
    """Every certificate that the CA has made, oldest first. Raises `IdentityError`."""
    load_ca_certificate(directory / files.CA_CERTIFICATE)
    return ledger.read(directory)


def _load(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    authority = load_ca_certificate(directory / files.CA_CERTIFICATE)
    key = keys.load(directory / files.CA_KEY)
    if keys.node_id(key.public_key()) != keys.node_id(authority.public_key()):
        raise IdentityError(f"{directory}: {files.CA_KEY} is not the key of {files.CA_CERTIFICATE}")
    return authority, key


def _validity(now: datetime, days: int) -> tuple[datetime, datetime]:
    if not 1 <= days <= DAYS_MAX:
        raise IdentityError(f"a certificate must be valid for 1 to {DAYS_MAX} days")
    return now - BACKDATE, now + timedelta(days=days)


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return files.pem(builder.sign(key, hashes.SHA256()))


def _entry(
    certificate: x509.Certificate, node: str, address: str, now: datetime, by: str
) -> Issued:
    return Issued(
        serial=f"{certificate.serial_number:x}",
        node=node,
        address=address,
        node_id=keys.node_id(certificate.public_key()).hex(),
        issued_at=now.replace(microsecond=0),
        expires_at=certificate.not_valid_after_utc,
        by=by,
    )
