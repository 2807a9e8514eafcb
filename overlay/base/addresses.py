"""Addresses as operators write them.

In: text. Out: host and port, networks; and the text of a host and a port.
"""

import ipaddress

from overlay.base.errors import ConfigError

HostPort = tuple[str, int]
"""Where to connect to."""


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The address or network that the text is; None for a name."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def split_address(text: str, default_port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port` as host and port; raises `ConfigError`."""
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
    """`host:port`, or `[v6]:port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
