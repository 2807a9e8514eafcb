"""Describes where phones are: their address and sockets, their name servers, the CA that they
trust.

In: what a lab's phone host, or this machine, has. Out: a `PhoneSite`. Counterparts: `srv_lookup.py`
and `links.py`, which need to know no more of the world.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class PhoneSite:
    """A place that phones of a farm can be at."""

    farm: str
    address: str
    name_servers: tuple[str, ...]
    """Asked in turn, as one that is silent is passed over."""
    authority: Path
    """The CA whose certificates phones trust."""
    make_socket: Callable[[socket.SocketKind], socket.socket]

    def bound_socket(self, kind: socket.SocketKind, port: int = 0) -> socket.socket:
        """A socket of this address that does not block."""
        made = self.make_socket(kind)
        made.setblocking(False)
        if port:
            # Of one phone, which has a socket for each node that it asks.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.address, port))
        return made


def on_machine(
    farm: str, address: str, name_servers: tuple[str, ...], authority: Path
) -> PhoneSite:
    """An address of this machine."""
    return PhoneSite(
        farm=farm,
        address=address,
        name_servers=name_servers,
        authority=authority,
        make_socket=lambda kind: socket.socket(socket.AF_INET, kind),
    )
