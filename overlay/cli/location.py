"""`sipfarm location`: shows where a subscriber is registered.

In: the command line. Out: the bindings, and which nodes hold them. Exit 1 if no binding is in
force. Counterpart: `operator_messages.Location`.
"""

import argparse
import time

from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.operator_messages import GetLocation, Location
from overlay.records import registration
from overlay.records.registration import Binding
from overlay.records.targets import Reach

_HEADER = ("CONTACT", "EXPIRES", "Q", "OWNER", "RECEIVED", "USER AGENT", "CSEQ", "CALL-ID")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = arguments.add_verb(
        subparsers,
        "location",
        "where a subscriber is registered",
        "examples:\n  sipfarm location alice\n  sipfarm location sip:alice@farm.example.com --json",
    )
    parser.add_argument("aor", metavar="AOR", help="alice, alice@farm or sip:alice@farm")
    parser.add_argument(
        "--all", action="store_true", help="removed and expired bindings, too (--json: always)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print. Exit 1 unless a binding is in force."""
    aor = arguments.aor_of(args.aor, arguments.known_config(args))
    with daemon(args) as node:
        location = node.ask(GetLocation(aor=aor), Location)
    now_ms = int(time.time() * 1000)
    if args.json:
        output.show_json(location)
    else:
        _show(location, now_ms, everything=args.all)
    return Exit.DONE if location.reach is Reach.FOUND else Exit.NOT_FOUND


def _show(location: Location, now_ms: int, *, everything: bool) -> None:
    live = registration.in_force(location.bindings, now_ms)
    shown = location.bindings if everything else live
    if shown:
        output.show(table.render(_HEADER, (_row(each, now_ms) for each in shown)))
        holders = ", ".join(sorted(location.replicas)) or "no node"
        output.show(f"held by {holders}; read in {location.elapsed_us / 1000:.1f} ms")
    if not location.complete:
        output.note("too few nodes answered: there may be newer bindings")
    match location.reach:
        case Reach.OFFLINE:
            output.note(f"{location.aor} is a subscriber, but not registered")
        case Reach.UNKNOWN:
            output.note(f"{location.aor} is no subscriber of this farm")


def _row(binding: Binding, now_ms: int) -> tuple[table.Cell, ...]:
    left_s = max(0, binding.expires_at_ms - now_ms) / 1000
    expires = f"{output.time_of(binding.expires_at_ms * 1000)} ({output.age_of(left_s)})"
    return (
        binding.contact,
        "removed" if binding.removed else expires if left_s else "expired",
        f"{binding.q / 1000:g}",
        binding.owner,
        binding.received,
        binding.user_agent,
        str(binding.cseq),
        binding.call_id,
    )
