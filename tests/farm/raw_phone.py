"""A phone of `tests/sip/phone.py` in the network of one of the lab's hosts.

In: a host of the lab; a way: UDP, or a connection to one node. Out: `RawPhone`, which knows the
lab's nodes by name. Counterpart: the lab.
"""

import contextlib
import ctypes
import os
import socket
import threading
from typing import Self

from deploy.lab import Host, Lab, certificates
from deploy.lab.layout import NETNS_DIR
from tests.sip.credentials import PASSWORD
from tests.sip.message import Address
from tests.sip.phone import Phone
from tests.sip.site import PhoneSite
from tests.sip.ways import Connection, Datagrams, Way, over_tls
from tests.sip.websocket import WebSocket

SIP_PORT = 5060
_CLONE_NEWNET = 0x40000000
_CONNECT_WITHIN_S = 5.0


def socket_on(
    lab: Lab,
    host: str,
    kind: socket.SocketKind,
    family: socket.AddressFamily = socket.AF_INET,
) -> socket.socket:
    """A socket in a host's network; the calling thread stays where it is."""
    made: list[socket.socket] = []
    lab.node(host) if host.startswith("n") else lab.phone(host)

    def make() -> None:
        descriptor = os.open(NETNS_DIR / host, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(family, kind))
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


def site_in_lab(lab: Lab, host: str) -> PhoneSite:
    """A phone host of the lab, as those see it that follow SRV."""
    return PhoneSite(
        farm=lab.farm,
        address=lab.phone(host).address,
        name_servers=tuple(node.address for node in lab.nodes),
        authority=certificates.AUTHORITY,
        make_socket=lambda kind: socket_on(lab, host, kind),
    )


class RawPhone(Phone):
    """One socket of one user: UDP, or a connection to one node, `over` tcp, tls, ws or wss;
    with `ipv6` by the hosts' IPv6 addresses."""

    def __init__(
        self,
        lab: Lab,
        host: str,
        user: str,
        *,
        tcp_to: str = "",
        over: str = "tcp",
        ipv6: bool = False,
        algorithm: str = "SHA-256",
        password: str = PASSWORD,
        way: Way | None = None,
    ) -> None:
        def reach(node: str) -> Address:
            return _address_of(lab.node(node), ipv6), SIP_PORT

        found = way or _way(lab, host, tcp_to, over, ipv6)
        super().__init__(found, reach, user, lab.farm, algorithm=algorithm, password=password)

    @classmethod
    def on_connection(cls, lab: Lab, connection: socket.socket, user: str) -> Self:
        """The same user's phone, on a connection that a node has opened to it."""
        return cls(lab, "", user, way=Connection(connection, "tcp"))


def _address_of(host: Host, ipv6: bool) -> str:
    return host.address6 if ipv6 else host.address


def _way(lab: Lab, host: str, tcp_to: str, over: str, ipv6: bool) -> Way:
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    kind = socket.SOCK_STREAM if tcp_to else socket.SOCK_DGRAM
    with contextlib.ExitStack() as undo:
        plain = undo.enter_context(socket_on(lab, host, kind, family))
        if tcp_to:
            node = _address_of(lab.node(tcp_to), ipv6)
            port = {"tcp": SIP_PORT, **lab.config(tcp_to).proxy.further_ports}[over]
            plain.settimeout(_CONNECT_WITHIN_S)
            plain.connect((node, port))
            way: Way = Connection(_over(over, plain, lab.farm, port), over)
        else:
            plain.bind((_address_of(lab.phone(host), ipv6), 0))
            way = Datagrams(plain)
        undo.pop_all()
    return way


def _over(over: str, plain: socket.socket, farm: str, port: int) -> socket.socket | WebSocket:
    """What is above the TCP connection."""
    if over in ("tls", "wss"):
        plain = over_tls(plain, farm, certificates.AUTHORITY)
    return WebSocket(plain, f"{over}://{farm}:{port}/") if over in ("ws", "wss") else plain
