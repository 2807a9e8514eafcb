"""Finds the node that a phone talks to by the phone's packets, encrypted or not, for any stack.

In: frames on the bridge's end of a phone host's cable. Out: names of nodes. Counterpart:
`phone_trials.py`, which takes that node away.
"""

import ipaddress
import socket
import struct
import threading
from typing import Final

from deploy.lab import Lab, LabError
from tests.closing import Closing

SIP_PORTS: Final = frozenset({5060, 5061})
_ETH_P_ALL: Final = 3
_ETHERNET: Final = 14
_IPV6: Final = 40
_TCP, _UDP = 6, 17
_KEEPALIVE_MAX: Final = 4
"""Double CRLF (RFC 5626) is not yet talking."""


class SipSeen(Closing):
    """Looks at what a phone host sends until it is closed."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._nodes = {
            ipaddress.ip_address(address): node.name
            for node in lab.nodes
            for address in (node.address, node.address6)
            if address
        }
        self._last = ""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.bind((lab.phone(host).interface, 0))
        self._socket.settimeout(0.1)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def node(self) -> str:
        """Where it sent its last SIP."""
        if not self._last:
            raise LabError("the phone has sent no SIP to a node")
        return self._last

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _look(self) -> None:
        while not self._closed.is_set():
            try:
                frame = self._socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                # The host was removed.
                return
            found = sip_destination(frame)
            if found and (name := self._nodes.get(found)):
                self._last = name


def sip_destination(
    frame: bytes,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Where an Ethernet frame carries SIP to; None if it carries none."""
    kind, packet = frame[12:_ETHERNET], frame[_ETHERNET:]
    if kind == b"\x08\x00" and len(packet) >= 20:
        protocol, length = packet[9], (packet[0] & 15) * 4
        to: bytes = packet[16:20]
        packet = packet[: struct.unpack("!H", packet[2:4])[0]]
    elif kind == b"\x86\xdd" and len(packet) >= _IPV6:
        protocol, length, to = packet[6], _IPV6, packet[24:40]
    else:
        return None
    segment = packet[length:]
    if protocol not in (_TCP, _UDP) or len(segment) < (20 if protocol == _TCP else 8):
        return None
    header = (segment[12] >> 4) * 4 if protocol == _TCP else 8
    port = struct.unpack("!H", segment[2:4])[0]
    if port not in SIP_PORTS or len(segment) - header <= _KEEPALIVE_MAX:
        return None
    return ipaddress.ip_address(to)
