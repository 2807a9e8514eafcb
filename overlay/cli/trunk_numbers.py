"""`sipfarm trunk route|numbering|emergency`: shows and changes where numbers go.

In: the command line. Out: what a proxy would do with a number, found out by the proxy's own code;
the farm's settings with other rules, signed with the operator's key. Counterpart:
`proxy/trunk_choice.py`.
"""

import argparse
import uuid
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from overlay.base.errors import ConfigError
from overlay.cli import arguments, output, table, trunk_texts
from overlay.cli.exits import Exit
from overlay.cli.trunk_change import change, in_force
from overlay.records.settings import EMERGENCY_NUMBERS, Emergency, FarmSettings, Numbering
from proxy.trunk_choice import GatewayTarget, TrunkTable


def add_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs to `sipfarm trunk`."""
    route = arguments.add_verb(
        verbs,
        "route",
        "explain where a call to a number or address goes that is no subscriber's",
        "examples:\n  sipfarm trunk route 0301234567\n  sipfarm trunk route 112\n"
        "  sipfarm trunk route urn:service:sos\n"
        "Gateways of the same priority are drawn by the Call-ID; --call-id shows the order of one\n"
        "call. What a node knows of gateways that are down is not looked at.",
    )
    route.add_argument("number", metavar="NUMBER", help="as dialled, or user@domain")
    route.add_argument("--call-id", default="", metavar="ID", help="of this call")
    route.set_defaults(run=run_route)
    numbering = arguments.add_verb(
        verbs,
        "numbering",
        "show or say how people here dial",
        "examples:\n  sipfarm trunk numbering --country 49 --national 0 --international 00\n"
        "  sipfarm trunk numbering --country 1 --national 1 --international 011\n"
        "  sipfarm trunk numbering --rules '9,strip=1 555,prepend=1212'\n"
        "Rules come first, and the first that matches counts.",
    )
    numbering.add_argument("--country", metavar="DIGITS", help="country code; '': unknown")
    numbering.add_argument("--national", metavar="DIGITS", help="before a national number")
    numbering.add_argument("--international", metavar="DIGITS", help="before a country code")
    numbering.add_argument(
        "--rules", type=trunk_texts.rules, metavar="RULES", help=trunk_texts.RULE_HELP
    )
    arguments.add_operator_key(numbering)
    numbering.set_defaults(run=run_numbering)
    emergency = arguments.add_verb(
        verbs,
        "emergency",
        "show or say which calls are never refused, and where they go",
        "examples:\n  sipfarm trunk emergency --numbers 110,112 --trunks north,south\n"
        "  sipfarm trunk emergency --trunks ''     (emergency calls are calls like others)\n"
        "Emergency calls of subscribers pass every limit and policy, also that of the blocked,\n"
        "and try every gateway of every trunk named, in order.",
    )
    emergency.add_argument(
        "--numbers",
        type=trunk_texts.entries,
        metavar="A,B,…",
        help=f"as dialled (default: {','.join(EMERGENCY_NUMBERS)})",
    )
    emergency.add_argument("--trunks", type=trunk_texts.entries, metavar="A,B,…", help="in order")
    emergency.add_argument(
        "--service", metavar="NUMBER", help="what is dialled for urn:service:sos (default: 112)"
    )
    arguments.add_operator_key(emergency)
    emergency.set_defaults(run=run_emergency)


def run_route(args: argparse.Namespace) -> int:
    """Explain where a call goes. Exit 1 if it goes nowhere."""
    settings = in_force(args)
    calls = TrunkTable.of(settings)
    call_id = args.call_id or uuid.uuid4().hex
    text = args.number
    user, _, domain = text.removeprefix("sip:").rpartition("@")
    user = user or domain
    targets: tuple[GatewayTarget, ...] = ()
    number = calls.emergency(text, user)
    if number:
        why = f"{number} is an emergency number"
        targets = calls.emergency_targets(number, call_id)
    elif "@" in text and domain.lower() in calls.by_domain:
        trunk = calls.by_domain[domain.lower()]
        why = f"{domain} is a domain of trunk {trunk.name}"
        targets = calls.domain_targets(trunk, f"sip:{user}@{domain}", call_id)
    else:
        number = calls.number_of(user)
        found = calls.to_number(number) if number else None
        if not number:
            why = f"{user} is no number here"
        elif found is None:
            why = f"{user} is {number}, and no trunk has a prefix of it"
        else:
            trunk, prefix = found
            why = f"{user} is {number}, and {prefix} of trunk {trunk.name} its longest prefix"
            targets = calls.number_targets(trunk, number, call_id)
    if args.json:
        tries = [
            {"trunk": target.trunk, "uri": target.uri, "hop": target.hop} for target in targets
        ]
        output.show_json({"number": number, "why": why, "tries": tries})
    else:
        output.show(table.printable(why))
        rows = [
            (place, target.trunk, target.uri, target.hop) for place, target in enumerate(targets, 1)
        ]
        if rows:
            output.show(table.render(("TRY", "TRUNK", "REQUEST-URI", "GATEWAY"), rows))
    return Exit.DONE if targets else Exit.NOT_FOUND


def run_numbering(args: argparse.Namespace) -> int:
    """Show the rules, or change them."""
    names = ("country", "national", "international", "rules")
    parts = {name: getattr(args, name) for name in names if getattr(args, name) is not None}

    def changed(settings: FarmSettings) -> FarmSettings:
        return replace(settings, numbering=_made(settings.numbering, parts))

    numbering = (change(args, changed) if parts else in_force(args)).numbering
    if args.json:
        output.show_json(output.plain(numbering))
        return Exit.DONE
    rows = (
        ("country", numbering.country),
        ("national", numbering.national),
        ("international", numbering.international),
        ("rules", " ".join(map(trunk_texts.rule_text, numbering.rules))),
    )
    output.show(table.details(rows))
    return Exit.DONE


def run_emergency(args: argparse.Namespace) -> int:
    """Show where emergency calls go, or change it."""
    names = ("numbers", "trunks", "service")
    parts = {name: getattr(args, name) for name in names if getattr(args, name) is not None}

    def changed(settings: FarmSettings) -> FarmSettings:
        for name in args.trunks or ():
            if settings.trunk(name) is None:
                raise ConfigError(f"there is no trunk {name}")
        return replace(settings, emergency=_made(settings.emergency, parts))

    emergency = (change(args, changed) if parts else in_force(args)).emergency
    if args.json:
        output.show_json(output.plain(emergency))
        return Exit.DONE
    rows = (
        ("numbers", ", ".join(emergency.numbers)),
        ("trunks", ", ".join(emergency.trunks)),
        ("service", emergency.service),
    )
    output.show(table.details(rows))
    return Exit.DONE


T = TypeVar("T", Numbering, Emergency)


def _made(before: T, parts: dict[str, object]) -> T:
    fields = {**msgspec.structs.asdict(before), **parts}
    try:
        return msgspec.convert(msgspec.to_builtins(fields), type(before))
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
