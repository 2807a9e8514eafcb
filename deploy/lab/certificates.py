"""Gives the lab's nodes the certificates that they show to SIP phones, by a CA that phones trust.

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
    """Make the CA of the lab."""
    _AUTHORITY.create()


def issue(node: Host, farm: str, *, lifetime: timedelta = sip_authority.LIFETIME) -> None:
    """Make a new key for the node, and a certificate that names the node and the farm. With a
    negative lifetime, the certificate has expired already."""
    names = [farm, f"{node.name}.{farm}"]
    _AUTHORITY.issue(names, certificate_file(node), key_file(node), lifetime)


def certificate_file(node: Host) -> Path:
    """The path of a node's certificate for SIP phones."""
    return node.etc / "sip.pem"


def key_file(node: Host) -> Path:
    """The path of the private key of that certificate."""
    return node.etc / "sip.key"
