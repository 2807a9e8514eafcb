"""What SIP phones of the lab see of a node: a certificate by a CA that they trust.

In: the farm's name, nodes. Out: `sip-ca/ca.pem`, and in each node's etc `sip.pem` and `sip.key`.
Counterpart: `deploy/sip_authority.py`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Final

from deploy import sip_authority
from deploy.lab import layout
from deploy.lab.layout import Host
from deploy.sip_authority import SipAuthority

_AUTHORITY: Final = SipAuthority(layout.STATE_DIR / "sip-ca")
AUTHORITY: Final = _AUTHORITY.certificate


def create() -> None:
    """Make the CA."""
    _AUTHORITY.create()


def issue(node: Host, farm: str, *, lifetime: timedelta = sip_authority.LIFETIME) -> None:
    """A new key and a certificate for the node, which names it and the farm; with a negative
    lifetime one that has expired."""
    names = [farm, f"{node.name}.{farm}"]
    _AUTHORITY.issue(names, certificate_file(node), key_file(node), lifetime)


def certificate_file(node: Host) -> Path:
    """Where a node's certificate is."""
    return node.etc / "sip.pem"


def key_file(node: Host) -> Path:
    """Where its private key is."""
    return node.etc / "sip.key"
