"""The few parts of a SIP URI that routing looks at (RFC 3261 19.1.1).

In: URIs from messages, which may hold anything. Out: host and transport. Kamailio itself parses the
URIs that it forwards to.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

TRANSPORTS: Final = frozenset({"", "udp", "tcp", "tls", "sctp", "ws", "wss"})
"""Values of the transport parameter that Kamailio knows; for others it logs at CRITICAL."""

_ENDS_OF_HOST: Final = frozenset(("", ":", ";", "?", ">"))


def of_name_address(value: str) -> str:
    """The URI of a header field that holds a name-addr or a URI (RFC 3261 20.10)."""
    _, bracket, rest = value.partition("<")
    return rest.partition(">")[0] if bracket else value


def host_of(uri: str) -> str:
    """The host in lower case, without port and brackets; empty if there is none."""
    start = uri.rfind("@") + 1 or uri.find(":") + 1
    if uri[start : start + 1] == "[":
        return uri[start + 1 :].partition("]")[0].lower()
    end = len(uri)
    for stop in ":;?>":
        found = uri.find(stop, start, end)
        if found >= 0:
            end = found
    return uri[start:end].lower()


def transport_of(uri: str) -> str:
    """The transport parameter in lower case; empty if there is none."""
    found = uri.lower().find(";transport=", uri.rfind("@") + 1)
    if found < 0:
        return ""
    value = uri[found + len(";transport=") :]
    return value.partition(";")[0].partition("?")[0].rstrip(">").lower()


def is_at(uri: str, address: str) -> bool:
    """Whether the URI's host is this IP address."""
    _, at, rest = uri.rpartition("@")
    if at and rest.startswith(address) and rest[len(address) :][:1] in _ENDS_OF_HOST:
        return ":" not in address
    host = host_of(uri)
    if host == address:
        return True
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False


def bracketed(address: str) -> str:
    """The address as it stands in a URI: IPv6 in brackets."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def is_reliable(uri: str) -> bool:
    """Whether the URI asks for a connection: it names a transport other than UDP, or is a `sips`
    URI."""
    return transport_of(uri) not in ("", "udp") or uri[:5].lower() == "sips:"


def protocol_of(path: Sequence[str], uri: str) -> str:
    """The transport by which Kamailio sends to the first hop of the path; to the URI, if the path
    is empty."""
    hop = path[0] if path else uri
    if ";" in hop and (transport := transport_of(hop)):
        return transport
    return "tls" if hop[:5].lower() == "sips:" else "udp"
