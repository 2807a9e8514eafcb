"""Writes a node's kamailio.cfg, and the file of its tls module.

In: the node's configuration, the farm's secret, whether TLS can be served. Out: the texts of the
files. kamailio.cfg holds keys that are derived from the secret, so only Kamailio may read it.
Counterparts: the templates beside this file; `settings.py`, which reads the defines in the worker.
"""

import hmac
import ipaddress
import sysconfig
from hashlib import sha256
from pathlib import Path
from typing import Final

import jinja2
import msgspec
from msgspec.structs import replace

from overlay.config.config import Config
from proxy import ping_round
from proxy.counters import COUNTERS
from proxy.settings import Settings

CONNECTION_KIB: Final = {"tcp": 66, "tls": 118, "ws": 134, "wss": 189}
"""Shared memory of Kamailio that an open connection takes, as measured. 64 KiB of it are for the
longest message (RFC 3261 18.1.1)."""
RESERVED_MIB: Final = 16
"""Shared memory for everything but connections. With less than 8 MiB free, TLS refuses to work."""
PRIVATE_MIB: Final = 16
"""Private memory of each process."""
_HERE: Final = Path(__file__).resolve().parent


def render(config: Config, secret: str, tls_file: Path | None = None) -> str:
    """The text of kamailio.cfg.

    `secret` is the farm's, the same on every node. `tls_file` is the path of the tls module's file;
    None if TLS is not to be served, whatever the configuration asks for.
    """
    if tls_file is None:
        config = replace(config, proxy=replace(config.proxy, tls_port=0, wss_port=0))
    node = config.node
    addresses = [ipaddress.ip_address(each) for each in (node.address, node.address6) if each]
    settings = Settings.from_config(config, b"")
    return _template("kamailio.cfg.j2").render(
        config=config,
        config_json=msgspec.json.encode(config).decode(),
        addresses=[f"[{each}]" if each.version == 6 else str(each) for each in addresses],
        advertised=settings.record_route_host,
        has_ipv6=any(each.version == 6 for each in addresses),
        tls_file=tls_file if config.proxy.tls_port or config.proxy.wss_port else None,
        further=_further_sockets(config),
        connections_max=connections_max(config),
        ping_slices=ping_round.slices(config.proxy.nat_ping_s),
        websocket=config.proxy.ws_port or config.proxy.wss_port,
        own_names=(config.farm.name, f"{config.node.name}.{config.farm.name}"),
        route_key=derive_key(secret, "record-route"),
        server_id=int(derive_key(config.node.name, "server id")[:7], 16) + 1,
        counters=COUNTERS,
        modules=_modules(),
        main=_HERE / "main.py",
        site_packages=sysconfig.get_paths()["purelib"],
    )


def render_tls(config: Config) -> str:
    """The text of the tls module's file."""
    return _template("tls.cfg.j2").render(config=config)


def command_line_values(config: Config) -> dict[str, int]:
    """The values that Kamailio takes from its command line alone, under the names that the unit
    sipfarm-kamailio has for them: MiB of shared memory, and MiB of each process."""
    return {
        "SHARED_MEMORY_MIB": config.proxy.shared_memory_mib,
        "PRIVATE_MEMORY_MIB": PRIVATE_MIB,
    }


def derive_key(secret: str, purpose: str) -> str:
    """A key of its own for each purpose, 64 hex digits, the same on every node."""
    return hmac.digest(secret.encode(), purpose.encode(), sha256).hex()


def connections_max(config: Config) -> int:
    """How many connections fit into Kamailio's shared memory beside all the rest, so that a client
    that opens many does not take the memory from calls over UDP."""
    served = ("tcp", *config.proxy.further_ports)
    each_kib = max(CONNECTION_KIB[transport] for transport in served)
    return max(1, (config.proxy.shared_memory_mib - RESERVED_MIB) * 1024 // each_kib)


def _further_sockets(config: Config) -> list[tuple[str, int]]:
    """The sockets besides UDP and TCP: Kamailio's protocol, and the port."""
    below = {"tls": "tls", "ws": "tcp", "wss": "tls"}
    return [(below[name], port) for name, port in config.proxy.further_ports.items()]


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name)


def _modules() -> str:
    """The folder in which Debian puts Kamailio's modules on this machine's architecture."""
    found = sorted(Path("/usr/lib").glob("*/kamailio/modules"))
    return f"{found[0] if found else '/usr/lib/kamailio/modules'}/"
