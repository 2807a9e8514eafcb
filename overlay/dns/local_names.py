"""How a node's Kamailio resolves names: the farm's own on the node itself, all others as the
machine does.

In: the node's configuration; the machine's hosts and resolv.conf. Out: the texts of both files, as
Kamailio should see them. Counterparts: the unit sipfarm-kamailio, which mounts them over the
machine's files; `sipfarm render`.

Kamailio advertises the farm's name, and does not start if it cannot resolve it. Nodes reach each
other by their names in the farm's zone. Neither may depend on a delegation, which can be broken. So
Kamailio asks the node's own PowerDNS first. PowerDNS refuses names that are not the farm's, and the
resolver then goes on to the next server (resolv.conf(5)).
"""

from typing import Final

from overlay.config.config import Config

SERVERS_MAX: Final = 3
"""The number of servers that a resolver uses (MAXNS of resolv.conf(5))."""
DNS_PORT: Final = 53
OPTIONS: Final = "options timeout:1 attempts:2"


def hosts(config: Config, machine: str) -> str:
    """The text of hosts: this node under its own name and the farm's, then the machine's lines."""
    node, farm = config.node, config.farm.name
    own = [
        f"{address} {node.name}.{farm} {farm}"
        for address in (node.address, node.address6)
        if address
    ]
    return "\n".join(["127.0.0.1 localhost", *own, machine])


def resolv_conf(config: Config, machine: str) -> str:
    """The text of resolv.conf: this node's PowerDNS, then the machine's servers.

    PowerDNS is left out if it does not serve the farm's zone on the port that resolvers use.
    """
    own = config.node.address if config.dns.enabled and config.dns.port == DNS_PORT else ""
    lines = [line.strip() for line in machine.splitlines()]
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    others = [line for line in lines if line and not line.startswith(("nameserver", "options"))]
    asked = [each for each in dict.fromkeys([own, *servers]) if each][:SERVERS_MAX]
    return "\n".join([*others, *(f"nameserver {each}" for each in asked), OPTIONS, ""])
