"""Enrolls this node: turns a token into an identity and a farm.toml.

In: a token, and what the operator wants to decide for this node. Out: the files that the daemon
starts with. Counterpart: `service.py`. The node's key is made here and never leaves the node.

The token's fingerprint says which CA is the right one. The first connection only fetches the CA's
certificate. The second one trusts that certificate alone, and only there does the node show the
token's secret.
"""

import hmac
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from overlay.base.errors import ConfigError, IdentityError
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.enrollment.authority_client import ask, trusting
from overlay.enrollment.enrollment_messages import AskAuthority, Authority, Enroll, Enrolled
from overlay.enrollment.token import Token, fingerprint_of
from overlay.identity import files, identity, keys, request
from overlay.identity.identity import Identity, farm_of_ca, load_ca_certificate


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the operator decides for this node. A field that is empty is found out."""

    config: Path
    """Where farm.toml is, or will be. The identity goes beside it."""
    node: str = ""
    address: str = ""
    data_dir: str = ""
    run_dir: str = ""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The outcome of joining."""

    config: Config
    identity: Identity
    already: bool
    """The node was enrolled before: nothing was changed, and the token was not used."""


def join(token: Token, wishes: Wishes) -> Joined:
    """Enroll this node. It may be repeated until it works. A node that is refused has no more
    files than before.

    Raises `UnavailableError` if the service cannot be reached, `IdentityError` if it refuses or is
    not that of the token, `ConfigError` if an existing farm.toml does not fit.
    """
    before = configuration.load(wishes.config) if wishes.config.exists() else None
    if before is not None and (mine := _enrolled(before, token)):
        return Joined(config=before, identity=mine, already=True)
    authority, own_address = _authority(token)
    farm = farm_of_ca(authority)
    if before is not None and before.farm.name != farm:
        raise ConfigError(f"{wishes.config}: is of the farm {before.farm.name}, not of {farm}")
    node, address = _names(token, wishes, before, own_address)
    directory = Path(before.node.identity_dir) if before else wishes.config.parent.absolute()
    with _own_key(directory / files.NODE_KEY) as key:
        csr_pem = request.make(key, farm, node, address)
        question = Enroll(token_id=token.token_id, secret=token.secret, csr_pem=csr_pem)
        service = (token.host, token.port)
        enrolled, _ = ask(service, question, Enrolled, trusting(authority), farm)
    config = before or _config(token, farm, (node, address), directory, wishes, enrolled)
    _write(directory, authority, enrolled)
    if before is None:
        files.write_for_group(wishes.config, configuration.dump_decided(config).encode())
    return Joined(config=config, identity=identity.load(config), already=False)


def _enrolled(config: Config, token: Token) -> Identity | None:
    """The identity that this node has already, if it is in force; None if it has none. Raises
    `IdentityError` if that identity is of another CA than the token's."""
    try:
        mine = identity.load(config)
    except IdentityError:
        return None
    path = Path(config.node.identity_dir) / files.CA_CERTIFICATE
    if fingerprint_of(load_ca_certificate(path)) != token.fingerprint:
        raise IdentityError(f"{path}: this node belongs to another CA than the token's")
    return mine


def _authority(token: Token) -> tuple[x509.Certificate, str]:
    """The CA's certificate, and the address that this node has towards the service."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    # This connection need not prove anything: the certificate that comes over it is checked against
    # the fingerprint.
    context.verify_mode = ssl.CERT_NONE
    reply, own_address = ask((token.host, token.port), AskAuthority(), Authority, context, "")
    try:
        authority = x509.load_pem_x509_certificate(reply.certificate_pem)
    except ValueError as error:
        raise IdentityError("the enrollment service sent no certificate") from error
    if not hmac.compare_digest(fingerprint_of(authority), token.fingerprint):
        raise IdentityError(
            f"{token.host}:{token.port}: is not the enrollment service of the token's CA; "
            "the token was not shown to it"
        )
    return authority, own_address


def _names(
    token: Token, wishes: Wishes, before: Config | None, own_address: str
) -> tuple[str, str]:
    """The node's name and address. Raises `IdentityError` if two sources give different ones."""
    if before is not None:
        found = (before.node.name, before.node.address)
    else:
        host = socket.gethostname().partition(".")[0].lower()
        found = (wishes.node or token.node or host, wishes.address or own_address)
    wanted = ((wishes.node, found[0]), (token.node, found[0]), (wishes.address, found[1]))
    for wish, name in wanted:
        if wish not in ("", name):
            raise IdentityError(f"{wish} is asked for, but the token or {wishes.config}: {name}")
    return found


@contextmanager
def _own_key(path: Path) -> Iterator[ec.EllipticCurvePrivateKey]:
    """The node's key. A key that had to be made is deleted again, with the directories that were
    made for it, if the node is refused.

    If the answer is lost, the key stays: a token is good for one key, and may have been used.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    if missing:
        keys.save(keys.generate(), path)
    try:
        yield keys.load(path)
    except IdentityError:
        for each in missing:
            each.unlink() if each == path else each.rmdir()
        raise


def _config(
    token: Token,
    farm: str,
    names: tuple[str, str],
    directory: Path,
    wishes: Wishes,
    enrolled: Enrolled,
) -> Config:
    node, address = names
    sections: dict[str, dict[str, Any]] = {name: {**s} for name, s in enrolled.settings.items()}
    sections["farm"] = {"name": farm}
    sections["node"] = {"name": node, "address": address, "identity_dir": str(directory)}
    if wishes.data_dir:
        sections["node"]["data_dir"] = wishes.data_dir
    if wishes.run_dir:
        sections["node"]["run_dir"] = wishes.run_dir
    sections.setdefault("overlay", {})["bootstrap"] = list(enrolled.bootstrap)
    host = f"[{token.host}]" if ":" in token.host else token.host
    sections.setdefault("enrollment", {}).setdefault("service", f"{host}:{token.port}")
    return configuration.parse(sections, "the enrollment service's settings")


def _write(directory: Path, authority: x509.Certificate, enrolled: Enrolled) -> None:
    """Write the identity. The certificate comes last, because its presence says that all the rest
    is there."""
    files.write_public(directory / files.CA_CERTIFICATE, files.pem(authority))
    files.write_public(directory / files.OPERATOR_PUBLIC, enrolled.operator_pem)
    files.write_secret(directory / files.FARM_SECRET, f"{enrolled.farm_secret}\n".encode())
    if enrolled.revocations:
        files.write_public(directory / files.REVOKED, enrolled.revocations)
    files.write_public(directory / files.NODE_CERTIFICATE, enrolled.certificate_pem)
