"""`sipfarm trunk`: manages the trunks to carriers.

In: the command line; passwords from a prompt, a file or stdin. Out: the farm's settings with one
trunk added, changed or removed, signed with the operator's key; or the trunks in force, with their
passwords masked. Counterparts: `overlay.records.settings`; `proxy/routes/trunks.py`, which follows
the settings.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from overlay.base.errors import ConfigError
from overlay.cli import arguments, output, passwords, table, trunk_numbers, trunk_texts
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.cli.trunk_change import change, in_force
from overlay.control.operator_messages import AskGateways, GatewaysSaid
from overlay.gateways import options
from overlay.records.settings import FarmSettings, Trunk

_MASK: Final = "********"
_ADD_EXAMPLES: Final = """\
examples:
  A carrier that takes all numbers, wants a password, and calls from two addresses.
    sipfarm trunk add north --prefixes + --gateway sbc1.north.example \\
      --gateway sbc2.north.example,priority=1 --username 4711 --password-file pw \\
      --sources 192.0.2.10,192.0.2.11
  One for Berlin alone, over TLS, that wants 030... instead of +4930...
    sipfarm trunk add berlin --prefixes +4930 --gateway 198.51.100.7:5061,tls \\
      --dial +49,strip=3,prepend=0
The longest prefix of all trunks decides. Gateways of the lowest priority come first, among them
by weight; the next one is tried after no answer, 408 or 503. Numbers are compared in E.164: say
with 'sipfarm trunk numbering' how people here dial, and look with 'sipfarm trunk route' what
becomes of a number."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "trunk", help="trunks to carriers: add, set, remove, list, show, route, ..."
    )
    verbs = parser.add_subparsers(dest="trunk_verb", required=True, metavar="VERB")
    add = arguments.add_verb(verbs, "add", "add a trunk to a carrier", _ADD_EXAMPLES)
    alter = arguments.add_verb(
        verbs,
        "set",
        "change a trunk; what is not given stays",
        "examples:\n  sipfarm trunk set north --prefixes +49,+43\n"
        "  sipfarm trunk set north --gateway sbc3.north.example     (in place of all others)\n"
        "  sipfarm trunk set north --username '' --sources ''       (none any more)",
    )
    for verb in (add, alter):
        _add_parts(verb)
    add.set_defaults(run=run_add)
    alter.set_defaults(run=run_set)
    remove = arguments.add_verb(verbs, "remove", "remove a trunk; calls that are up stay up")
    remove.add_argument("name", metavar="NAME")
    arguments.add_operator_key(remove)
    remove.set_defaults(run=run_remove)
    listing = arguments.add_verb(verbs, "list", "list all trunks")
    listing.set_defaults(run=run_list)
    show = arguments.add_verb(verbs, "show", "show all of a trunk but its password")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=run_show)
    test = arguments.add_verb(
        verbs,
        "test",
        "ask each gateway of a trunk how it is, from the asked node",
        "Sends OPTIONS and prints what came back, within some seconds. Any answer but 503 counts\n"
        "as well; a gateway that is down is tried last, never left out. TLS: its certificate must\n"
        "be from a CA in proxy.tls_ca. Exit 4 if one is down.",
    )
    test.add_argument("name", metavar="NAME")
    test.set_defaults(run=run_test)
    trunk_numbers.add_verbs(verbs)


def _add_parts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="lower-case letters, digits and -")
    verb.add_argument(
        "--prefixes",
        type=trunk_texts.entries,
        metavar="+A,+B,…",
        help="beginnings of the numbers (E.164) that go there; +: all",
    )
    verb.add_argument(
        "--domains",
        type=trunk_texts.entries,
        metavar="A,B,…",
        help="SIP domains whose addresses go there as they are",
    )
    verb.add_argument(
        "--gateway",
        type=trunk_texts.gateway,
        action="append",
        metavar=trunk_texts.GATEWAY_HELP,
        help="a server of the carrier; once for each",
    )
    verb.add_argument("--username", metavar="NAME", help="answers the carrier's challenges")
    source = verb.add_mutually_exclusive_group()
    source.add_argument(
        "--password",
        metavar="PASSWORD",
        help="warning: other users of this machine can see it in the list of processes; "
        "without an option for it, it is asked for when --username is given",
    )
    source.add_argument(
        "--password-file", type=Path, metavar="PATH", help="its first line is the password"
    )
    verb.add_argument(
        "--sources",
        type=trunk_texts.sources,
        metavar="A,B,…",
        help="addresses or networks from which its calls come in, to subscribers, without "
        "any other proof, and whose word about the caller is believed",
    )
    verb.add_argument(
        "--dial",
        type=trunk_texts.rules,
        metavar="RULES",
        help=f"how it wants numbers: {trunk_texts.RULE_HELP}, several separated by blanks, the "
        "first that matches; '': as E.164 with +",
    )
    arguments.add_operator_key(verb)


def run_add(args: argparse.Namespace) -> int:
    """Add a trunk. Exit 2 if there is one of this name."""
    parts = _parts(args)
    if not args.gateway or not (args.prefixes or args.domains or args.sources):
        raise ConfigError("trunk add: give --gateway, and --prefixes, --domains or --sources")

    def changed(settings: FarmSettings) -> FarmSettings:
        if settings.trunk(args.name):
            raise ConfigError(f"there is a trunk {args.name}: change it with 'sipfarm trunk set'")
        trunk = _made({"prefixes": (), **parts, "name": args.name})
        return replace(settings, trunks=(*settings.trunks, trunk))

    return _show_of(args, change(args, changed))


def run_set(args: argparse.Namespace) -> int:
    """Change parts of a trunk. Exit 1 if there is none of this name."""
    parts = _parts(args)
    if not parts:
        raise ConfigError("trunk set: give what to change; see --help")

    def changed(settings: FarmSettings) -> FarmSettings:
        found = settings.trunk(args.name)
        if found is None:
            raise _NoSuchTrunk
        trunk = _made({**msgspec.structs.asdict(found), **parts})
        return replace(settings, trunks=tuple(trunk if t is found else t for t in settings.trunks))

    try:
        return _show_of(args, change(args, changed))
    except _NoSuchTrunk:
        return _not_found(args)


def run_remove(args: argparse.Namespace) -> int:
    """Remove a trunk. Exit 1 if there is none of this name."""

    def changed(settings: FarmSettings) -> FarmSettings:
        if settings.trunk(args.name) is None:
            raise _NoSuchTrunk
        if args.name in settings.emergency.trunks:
            raise ConfigError(
                f"{args.name} takes emergency calls: say with 'sipfarm trunk emergency' who "
                "does instead"
            )
        return replace(settings, trunks=tuple(t for t in settings.trunks if t.name != args.name))

    try:
        change(args, changed)
    except _NoSuchTrunk:
        return _not_found(args)
    if args.json:
        output.show_json({"removed": args.name})
    else:
        output.show(f"removed {args.name}")
    return Exit.DONE


def run_list(args: argparse.Namespace) -> int:
    """Print all trunks."""
    settings = in_force(args)
    if args.json:
        output.show_json({"trunks": [_masked(trunk) for trunk in settings.trunks]})
        return Exit.DONE
    if not settings.trunks:
        output.note("there are no trunks")
        return Exit.DONE
    rows = [
        (
            trunk.name,
            ", ".join((*trunk.prefixes, *trunk.domains)),
            ", ".join(trunk_texts.gateway_text(gateway) for gateway in trunk.gateways),
            ", ".join(trunk.sources),
        )
        for trunk in settings.trunks
    ]
    output.show(table.render(("TRUNK", "TAKES", "GATEWAYS", "SOURCES"), rows))
    return Exit.DONE


def run_show(args: argparse.Namespace) -> int:
    """Print a trunk. Exit 1 if there is none of this name."""
    return _show_of(args, in_force(args))


def run_test(args: argparse.Namespace) -> int:
    """Ask the trunk's gateways. Exit 1 if there is no such trunk, 4 if a gateway is down."""
    with daemon(args) as node:
        tested = node.ask(AskGateways(name=args.name), GatewaysSaid)
    if not tested.gateways:
        return _not_found(args)
    well = [options.is_well(heard.status) for heard in tested.gateways]
    if args.json:
        output.show_json(tested)
    else:
        rows = [
            (heard.gateway, "up" if up else "down", heard.status, heard.reason, heard.elapsed_ms)
            for heard, up in zip(tested.gateways, well, strict=True)
        ]
        output.show(table.render(("GATEWAY", "STATE", "STATUS", "REASON", "MS"), rows))
    return Exit.DONE if all(well) else Exit.REFUSED


class _NoSuchTrunk(Exception):
    """There is no trunk of this name."""


def _parts(args: argparse.Namespace) -> dict[str, Any]:
    """The parts of a trunk that the command line gives."""
    parts = {
        "prefixes": args.prefixes,
        "domains": args.domains,
        "gateways": tuple(args.gateway) if args.gateway else None,
        "username": args.username,
        "sources": args.sources,
        "dial": args.dial,
    }
    if args.username == "":
        parts["password"] = ""
    elif args.username or args.password is not None or args.password_file:
        who = f"trunk {args.name}"
        parts["password"] = passwords.one(who, args.password, args.password_file)
    return {name: value for name, value in parts.items() if value is not None}


def _made(fields: dict[str, Any]) -> Trunk:
    try:
        return msgspec.convert(
            {name: msgspec.to_builtins(value) for name, value in fields.items()}, Trunk
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"this cannot be a trunk: {error}") from error


def _show_of(args: argparse.Namespace, settings: FarmSettings) -> int:
    trunk = settings.trunk(args.name)
    if trunk is None:
        return _not_found(args)
    if args.json:
        output.show_json(_masked(trunk))
        return Exit.DONE
    gateways = [trunk_texts.gateway_text(gateway) for gateway in trunk.gateways]
    rows = {
        "trunk": trunk.name,
        "prefixes": ", ".join(trunk.prefixes),
        "domains": ", ".join(trunk.domains),
        **{f"gateway {number}": text for number, text in enumerate(gateways, 1)},
        "username": trunk.username,
        "password": _MASK if trunk.password else "",
        "sources": ", ".join(trunk.sources),
        "dial": " ".join(map(trunk_texts.rule_text, trunk.dial)),
        "emergency calls": "yes" if trunk.name in settings.emergency.trunks else "no",
    }
    output.show(table.details(rows.items()))
    return Exit.DONE


def _masked(trunk: Trunk) -> object:
    return output.plain(replace(trunk, password=_MASK if trunk.password else ""))


def _not_found(args: argparse.Namespace) -> int:
    output.note(f"there is no trunk {args.name}")
    return Exit.NOT_FOUND
