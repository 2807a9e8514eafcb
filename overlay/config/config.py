"""Reads the node's configuration: one TOML file, one struct a section, checked once.

In: `/etc/sipfarm/farm.toml`. Out: a frozen `Config`, or a `ConfigError` that names the key.
Counterparts: `config/sections/` declares every setting, and docs/configuration.md shows them;
`config/checks.py` and `config/values.py` find mistakes in the values.
"""

import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from overlay.base.errors import ConfigError
from overlay.config import checks
from overlay.config import values as config_values
from overlay.config.sections import (
    BillingSection,
    DnsSection,
    DnsUpdateSection,
    EnrollmentSection,
    ExportSection,
    FarmSection,
    MediaSection,
    MetricsSection,
    NodeSection,
    OverlaySection,
    ProxySection,
    Section,
    StorageSection,
)

PATH_DEFAULT = Path("/etc/sipfarm/farm.toml")


class Config(Section, frozen=True, kw_only=True):
    """The whole file: a section for each of its tables."""

    farm: FarmSection
    node: NodeSection
    overlay: OverlaySection = OverlaySection()
    proxy: ProxySection = ProxySection()
    billing: BillingSection = BillingSection()
    storage: StorageSection = StorageSection()
    media: MediaSection = MediaSection()
    dns: DnsSection = DnsSection()
    metrics: MetricsSection = MetricsSection()
    enrollment: EnrollmentSection = EnrollmentSection()
    dns_update: DnsUpdateSection = DnsUpdateSection()
    export: ExportSection = ExportSection()

    def run_path(self, name: str) -> Path:
        """The path of a socket or of a small shared file of this node, by its name in
        `node.run_dir`."""
        return Path(self.node.run_dir) / name

    @property
    def control_socket(self) -> Path:
        """The socket at which the daemon answers proxies and the CLI."""
        return self.run_path("control.sock")

    @property
    def redis_socket(self) -> Path:
        """The socket at which this node's Redis listens."""
        return self.run_path("redis.sock")

    @property
    def generations_file(self) -> Path:
        """The file by which the daemon tells the proxies that an entry in Redis has changed."""
        return self.run_path("generations")

    @property
    def settings_file(self) -> Path:
        """The file in which the daemon shows the farm's settings to the proxies."""
        return self.run_path("settings.json")

    @property
    def flows_file(self) -> Path:
        """The file in which Kamailio, when it stops, leaves the phones that it pings to its next
        run."""
        return self.run_path("flows.json")

    @property
    def dns_socket(self) -> Path:
        """The socket at which the daemon answers PowerDNS."""
        return self.run_path("dns.sock")

    @property
    def pdns_control_socket(self) -> Path:
        """The socket at which PowerDNS takes commands. PowerDNS chooses its file name."""
        return self.pdns_socket_dir / "pdns.controlsocket"

    @property
    def pdns_socket_dir(self) -> Path:
        """PowerDNS's own directory, beside the directory with the sockets of all others."""
        return Path(f"{self.node.run_dir}-pdns")

    @property
    def kamailio_socket(self) -> Path:
        """The datagram socket at which Kamailio answers JSON-RPC."""
        return self.run_path("kamailio.sock")


def load(path: Path) -> Config:
    """The configuration in the file at `path`. Raises `ConfigError`, whose text says what to
    mend."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse(data, str(path))


def parse(data: object, origin: str) -> Config:
    """The configuration in TOML that is already parsed. `origin` begins the text of every error."""
    try:
        config = msgspec.convert(data, Config, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {error}") from error
    problems = _problems(config)
    if problems:
        raise ConfigError("\n".join(f"{origin}: {problem}" for problem in problems))
    return config


def _problems(config: Config) -> list[str]:
    sections = {name: getattr(config, name) for name in config.__struct_fields__}
    sections["export.kafka"] = config.export.kafka
    return [
        *chain.from_iterable(config_values.problems(*item) for item in sections.items()),
        *checks.node(config.node),
        *checks.overlay(config.overlay),
        *checks.proxy(config.proxy),
        *checks.dns_update(config.dns_update, config.farm.name),
        *checks.export(config.export),
    ]


def dump(config: Config) -> str:
    """The configuration as TOML, with every value written out."""
    return "\n\n".join(_sections("", msgspec.to_builtins(config))) + "\n"


def dump_decided(config: Config) -> str:
    """The configuration as TOML without the values that are the defaults. So a later version's
    defaults apply, and an earlier version finds no setting that it does not know."""
    plain = Config(farm=FarmSection(name=""), node=NodeSection(name="", address=""))
    decided = _decided(msgspec.to_builtins(config), msgspec.to_builtins(plain))
    return "\n\n".join(_sections("", decided)) + "\n"


def _decided(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The values that differ from the defaults, section by section. A section without any is left
    out."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            if inside := _decided(value, defaults[name]):
                found[name] = inside
        elif value != defaults[name]:
            found[name] = value
    return found


def _sections(above: str, values: dict[str, Any]) -> list[str]:
    sections = []
    for name, inside in values.items():
        if not isinstance(inside, dict):
            continue
        lines = [
            f"{key} = {msgspec.json.encode(value).decode()}"
            for key, value in inside.items()
            if not isinstance(value, dict)
        ]
        sections += ["\n".join([f"[{above}{name}]", *lines])] if lines else []
        sections += _sections(f"{above}{name}.", inside)
    return sections
