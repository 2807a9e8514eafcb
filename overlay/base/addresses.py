"""Reads and writes addresses as operators write them.

In: text. Out: a host and a port, or a network; and, the other way, the text of a host and a port.
"""

import ipaddress

from overlay.base.errors import ConfigError

HostPort = tuple[str, int]
"""A host, which is a name or an IP address without brackets, and a port."""


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that the text names, an address being a network of one; None if the text is a
    name."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def split_address(text: str, default_port: int) -> tuple[str, int]:
    """The host and the port of `host`, `host:port` or `[v6]:port`. Raises `ConfigError`."""
    host, port = text, str(default_port)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest[1:] or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"not an address: {text!r}")
    return host, int(port)


def endpoint(host: str, port: int) -> str:
    """The text of a host and a port: `host:port`, or `[v6]:port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
