"""Writes what the tests' farm needs beyond the inventory of docs/rollout.md, and other inventories.

In: names of nodes, certificates. Out: files for Ansible. Counterpart:
`ansible/inventory/example.yml`, which has the same names and addresses.
"""

import json
from pathlib import Path
from typing import Any, Final

from deploy.hosts import host
from deploy.hosts.layout import DATA_DIR, SSH_CONFIG
from deploy.sip_authority import LIFETIME, SipAuthority

FARM: Final = "sip.example.net"
OPERATOR: Final = "op"
NODES: Final = ("n1", "n2", "n3")
FOURTH: Final = "n4"
SIP_AUTHORITY: Final = SipAuthority(DATA_DIR / "sip-ca")
_CERTIFICATE: Final = DATA_DIR / "sip.pem"
_KEY: Final = DATA_DIR / "sip.key"
_SETTINGS: Final = {
    # As the document has it.
    "billing": {"retention_days": 90},
    "proxy": {
        # Four hosts, Ansible and the phones share two cores: what holds a node up is to refuse no
        # call, as in the lab's tests.
        "shed_delay_ms": 500,
        "tls_port": 5061,
        "tls_certificate": "/etc/sipfarm/sip.pem",
        "tls_key": "/etc/sipfarm/sip.key",
    },
}


def make_certificate() -> bytes:
    """A new certificate that phones are shown, one for all nodes; returns it in PEM."""
    if not SIP_AUTHORITY.certificate.exists():
        SIP_AUTHORITY.create()
    names = [FARM, *(f"{name}.{FARM}" for name in (*NODES, FOURTH))]
    SIP_AUTHORITY.issue(names, _CERTIFICATE, _KEY, LIFETIME)
    return _CERTIFICATE.read_bytes()


def add_settings(beside: Path) -> None:
    """What all hosts have besides what the inventory in this directory says."""
    written = beside / "group_vars" / "all.json"
    written.parent.mkdir()
    known = {
        "farm_settings": _SETTINGS,
        "node_tls_certificate": str(_CERTIFICATE),
        "node_tls_key": str(_KEY),
    }
    written.write_text(json.dumps(known, indent=1), encoding="utf-8")


def inventory(*nodes: str, user: str = "root") -> dict[str, Any]:
    """A farm of these nodes."""
    return {
        "all": {
            "vars": {
                "ansible_user": user,
                "ansible_ssh_common_args": f"-F {SSH_CONFIG}",
                "farm_name": FARM,
            }
        },
        "sipfarm_authority": {"hosts": {OPERATOR: {"ansible_host": host(OPERATOR).address}}},
        "sipfarm_nodes": {"hosts": {name: {"ansible_host": host(name).address} for name in nodes}},
        "sipfarm_monitoring": {"hosts": {}},
    }


def write(data: dict[str, Any], name: str = "inventory") -> Path:
    """The file; what is JSON is YAML, too."""
    path = DATA_DIR / f"{name}.json"
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return path
