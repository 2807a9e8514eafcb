"""A lab has room for more hosts than the kernel's neighbour table has for pairs of them.

The table holds 1,024 entries (`gc_thresh3`) for all namespaces of the machine together, and as many
again for IPv6. 32 hosts that asked for each other's link addresses would fill it.
"""

import socket

from deploy.lab import Host, Lab
from tests.farm.raw_phone import socket_on

NODES = 64
"""4,032 pairs, twice as many as entries: some are used again once they are a few seconds old."""
PHONES = ("p1", "p2")
WITHIN_S = 5.0
_PORT = 7000


def addresses(host: Host) -> list[str]:
    """Those that a host has."""
    return [address for address in (host.address, host.address6) if address]


def listening(lab: Lab, host: Host) -> list[socket.socket]:
    """A socket of this host for each of its addresses."""
    found = []
    for address in addresses(host):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = socket_on(lab, host.name, socket.SOCK_DGRAM, family)
        opened.bind((address, _PORT))
        opened.settimeout(WITHIN_S)
        found.append(opened)
    return found


def heard(opened: socket.socket, count: int) -> set[str]:
    """The addresses that so many datagrams come from; fewer if they do not come in time."""
    found = set()
    try:
        for _ in range(count):
            found.add(opened.recvfrom(64)[1][0])
    except TimeoutError:
        pass
    return found


def test_every_host_of_a_large_lab_reaches_every_other(no_lab: None) -> None:
    told: list[str] = []
    lab = Lab.up(NODES, which=("redis",), report=told.append)
    hosts = [*lab.nodes, *(lab.phone(name) for name in PHONES)]
    sockets = {host.name: listening(lab, host) for host in hosts}
    try:
        for mine in sockets.values():
            for kind, opened in enumerate(mine):
                for other in hosts:
                    opened.sendto(b"?", (addresses(other)[kind], _PORT))
        for kind, _ in enumerate(addresses(hosts[0])):
            everybody = {addresses(host)[kind] for host in hosts}
            for name, mine in sockets.items():
                missing = everybody - heard(mine[kind], len(everybody))
                assert not missing, f"{name} hears nothing of {sorted(missing)}"
    finally:
        for opened in [opened for mine in sockets.values() for opened in mine]:
            opened.close()
    ready = [line for line in told if " is ready at " in line]
    assert len(ready) == NODES
