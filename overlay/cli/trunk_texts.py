"""How the parts of a trunk are written on a command line.

In: texts that people type. Out: parts of `overlay.records.settings`, or an error that `argparse`
reports; and back to text, for tables. Counterpart: `trunk.py`.
"""

import argparse
import ipaddress
from typing import Any, Final, TypeVar

import msgspec

from overlay.records.settings import Gateway, Rule

P = TypeVar("P", Gateway, Rule)

GATEWAY_HELP: Final = "HOST[:PORT][,tcp|tls][,priority=N][,weight=N]"
RULE_HELP: Final = "MATCH[,strip=N][,prepend=DIGITS]"
_TRANSPORTS: Final = ("udp", "tcp", "tls")


def gateway(text: str) -> Gateway:
    """The gateway that a text of the form `GATEWAY_HELP` describes."""
    address, *options = (part.strip() for part in text.split(","))
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:
        host, port = address, "0"
    if host.count(":") and not host.startswith("["):
        host, port = f"[{address}]", "0"
    fields: dict[str, Any] = {"host": host}
    for option in options:
        if option in _TRANSPORTS:
            fields["transport"] = option
        else:
            name, _, value = option.partition("=")
            if name not in ("priority", "weight"):
                raise argparse.ArgumentTypeError(f"{option!r}: a gateway is {GATEWAY_HELP}")
            fields[name] = _number(value)
    fields["port"] = _number(port)
    return _made(fields, Gateway, GATEWAY_HELP)


def rule(text: str) -> Rule:
    """The rule that a text of the form `RULE_HELP` describes."""
    match, *options = (part.strip() for part in text.split(","))
    fields: dict[str, Any] = {"match": match}
    for option in options:
        name, _, value = option.partition("=")
        if name not in ("strip", "prepend"):
            raise argparse.ArgumentTypeError(f"{option!r}: a rule is {RULE_HELP}")
        fields[name] = _number(value) if name == "strip" else value
    return _made(fields, Rule, RULE_HELP)


def rules(text: str) -> tuple[Rule, ...]:
    """Several rules in order, separated by blanks; none for an empty text."""
    return tuple(rule(each) for each in text.split())


def entries(text: str) -> tuple[str, ...]:
    """The entries of a list, separated by commas; none for an empty text."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def sources(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas."""
    found = entries(text)
    for each in found:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return found


def gateway_text(gateway: Gateway) -> str:
    """The gateway as it is typed."""
    parts = [gateway.address]
    if gateway.transport != "udp":
        parts.append(gateway.transport)
    parts += [f"priority={gateway.priority}", f"weight={gateway.weight}"]
    return ",".join(parts)


def rule_text(rule: Rule) -> str:
    """The rule as it is typed."""
    strip = f",strip={rule.strip}" if rule.strip else ""
    prepend = f",prepend={rule.prepend}" if rule.prepend else ""
    return f"{rule.match}{strip}{prepend}"


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def _made(fields: dict[str, Any], kind: type[P], form: str) -> P:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError(f"{error}; it is {form}") from error
