"""Says which values a setting may have. The rule stands beside the setting, as data.

In: a type such as `Annotated[int, Range(1, 65_535)]` in a section of `config/sections/`. Out: a
line for each value of a section that breaks its rule; and the rule in words. Counterparts:
`config.py` refuses a file because of those lines; `deploy/docs` prints the words.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from overlay.base.addresses import network_of, split_address
from overlay.base.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """The bounds of a number, both included. A bound that is a text names a setting of the same
    section."""

    least: float | str
    most: float | str | None = None

    def words(self) -> str:
        """The rule as the documentation words it."""
        least = _quoted(self.least)
        return f"{least} or more" if self.most is None else f"{least} to {_quoted(self.most)}"

    def problem(self, value: Any, section: msgspec.Struct) -> str:
        """Why this value is wrong for a setting of this section; empty if it is right."""
        least, least_words = _bound(self.least, section)
        if self.most is None:
            return "" if least <= value else f"must be {least_words} or more, not {value}"
        most, most_words = _bound(self.most, section)
        if least <= value <= most:
            return ""
        return f"must be from {least_words} to {most_words}, not {value}"


@dataclass(frozen=True)
class Shape:
    """What a text looks like. In a list, every entry looks like that."""

    fits: Callable[[str], object]
    description: str
    may_be_empty: bool = False

    def words(self) -> str:
        """The rule as the documentation words it."""
        return self.description + (", or empty" if self.may_be_empty else "")

    def problem(self, value: Any, _section: msgspec.Struct) -> str:
        """Why this value is wrong for a setting; empty if it is right."""
        for text in (value,) if isinstance(value, str) else value:
            if not (self.may_be_empty and not text) and not self.fits(text):
                return f"{text!r} is not {self.description}"
        return ""


def rule_of(hint: Any) -> Range | Shape | None:
    """The rule in a setting's type; None if there is none."""
    rules = (each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Range | Shape))
    return next(rules, None)


def hints_of(section: type[msgspec.Struct]) -> dict[str, Any]:
    """The types of a section's settings, rules included."""
    return get_type_hints(section, include_extras=True)


def problems(name: str, section: msgspec.Struct) -> list[str]:
    """A line for each value of one section that breaks its own rule. `name` is the section's."""
    found = []
    for setting, hint in hints_of(type(section)).items():
        rule = rule_of(hint)
        problem = rule.problem(getattr(section, setting), section) if rule else ""
        if problem:
            found.append(f"{name}.{setting}: {problem}")
    return found


def _quoted(bound: float | str) -> str:
    return f"`{bound}`" if isinstance(bound, str) else str(bound)


def _bound(bound: float | str, section: msgspec.Struct) -> tuple[float, str]:
    """The bound's value in this section, and the words by which an error names it."""
    if not isinstance(bound, str):
        return bound, str(bound)
    value: float = getattr(section, bound)
    return value, f"{bound} ({value})"


def _is_reachable(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _is_reachable6(text: str) -> bool:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not address.is_unspecified and not address.scope_id


def _is_host_and_port(text: str) -> bool:
    try:
        split_address(text, default_port=1)
    except ConfigError:
        return False
    return True


def _is_label(text: str) -> bool:
    """Whether the text is one lower-case label of a domain name."""
    return re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text) is not None


def _is_farm(text: str) -> bool:
    labels = text.split(".")
    return len(labels) >= 2 and all(map(_is_label, labels))


def _is_peer(text: str) -> bool:
    return network_of(text) is not None or all(map(_is_label, text.split(".")))


def _like(pattern: str, example: str) -> Shape:
    return Shape(re.compile(pattern).fullmatch, f"like `{example}`")


_HOST: Final = r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)"
_IDENTIFIER: Final = "[a-z_][a-z0-9_]{0,62}"

AboveZero = Annotated[int, Range(1)]
ZeroOrMore = Annotated[int, Range(0)]
Port = Annotated[int, Range(1, 65_535)]
PortOrZero = Annotated[int, Range(0, 65_535)]
Capacity = Annotated[int, Range(0, 65_535)]
StopSeconds = Annotated[int, Range(0, 20)]
UpToHalf = Annotated[float, Range(0, 0.5)]
Quorum = Annotated[int, Range(1, "replicas")]
ExpiresDefault = Annotated[int, Range("expires_min_s", "expires_max_s")]

FarmName = Annotated[str, Shape(_is_farm, "a lower-case domain name of at least two labels")]
Label = Annotated[str, Shape(_is_label, "a lower-case DNS label")]
LabelOrEmpty = Annotated[str, Shape(_is_label, "a lower-case DNS label", may_be_empty=True)]
HostAddress = Annotated[str, Shape(_is_reachable, "an IP address that other hosts can reach")]
Address6OrEmpty = Annotated[
    str, Shape(_is_reachable6, "an IPv6 address that other hosts can reach", may_be_empty=True)
]
_HOST_AND_PORT: Final = "`address`, `address:port` or `[IPv6 address]:port`"
HostOrEmpty = Annotated[str, Shape(_is_host_and_port, _HOST_AND_PORT, may_be_empty=True)]
Hosts = Annotated[tuple[str, ...], Shape(_is_host_and_port, _HOST_AND_PORT)]
TrustedPeers = Annotated[
    tuple[str, ...], Shape(_is_peer, "an address, a network or a lower-case domain name")
]
Routes = Annotated[
    tuple[str, ...],
    _like(r"sips?:[^\s<>\"?]+;lr(;[^\s<>\"?]*)?", "sip:proxy.example.com;lr"),
]
Origins = Annotated[
    tuple[str, ...],
    _like(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]-]+", "https://phone.example.net"),
]
Relays = Annotated[tuple[str, ...], _like(rf"udp6?:{_HOST}:[0-9]{{1,5}}", "udp:192.0.2.20:2223")]
Brokers = Annotated[tuple[str, ...], _like(rf"{_HOST}:[0-9]{{1,5}}", "192.0.2.30:9092")]
Topic = Annotated[
    str, Shape(re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}").fullmatch, "a topic's name")
]
Table = Annotated[
    str,
    Shape(
        re.compile(rf"{_IDENTIFIER}(\.{_IDENTIFIER})?").fullmatch,
        "a table's name, lower-case, with or without its schema",
    ),
]
WebUrlOrEmpty = Annotated[
    str, Shape(re.compile(r"https?://.*").fullmatch, "an http or https URL", may_be_empty=True)
]
