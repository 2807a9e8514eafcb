"""`sipfarm lockout`: shows which users and addresses are locked out after too many wrong passwords,
and lets them in again.

In: the command line. Out: a table, or the end of a lockout. Counterparts:
`operator_messages.ListLockouts`, `operator_messages.EndLockout`; `overlay.control.lockouts`
decides.
"""

import argparse

from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.control_protocol import Done
from overlay.control.operator_messages import EndLockout, ListLockouts, LockoutsAre

_HEADER = ("USER", "FROM", "LEFT")
_ANYBODY = "anybody"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "lockout", help="who guessed too many passwords: list them, let them in again"
    )
    verbs = parser.add_subparsers(dest="lockout_verb", required=True, metavar="VERB")
    listing = arguments.add_verb(
        verbs,
        "list",
        "who is refused now, on every node",
        "A user is locked out from an address after proxy.login_failures_max wrong passwords\n"
        "within a minute; the address itself after proxy.login_failures_address_max.",
    )
    listing.set_defaults(run=run_list)
    end = arguments.add_verb(
        verbs,
        "end",
        "let them in again, on every node",
        "examples:\n  sipfarm lockout end 192.0.2.7\n"
        "  sipfarm lockout end 192.0.2.7 --user alice@sip.example.net",
    )
    end.add_argument("address", metavar="ADDRESS")
    end.add_argument("--user", default="", metavar="AOR", help="default: the address itself")
    end.set_defaults(run=run_end)


def run_list(args: argparse.Namespace) -> int:
    """Print the lockouts. Exit 1 if there are none."""
    with daemon(args) as node:
        found = node.ask(ListLockouts(), LockoutsAre).lockouts
    if args.json:
        output.show_json([{"user": e.aor, "address": e.address, "left_s": e.left_s} for e in found])
    elif found:
        rows = ((e.aor or _ANYBODY, e.address, output.age_of(e.left_s)) for e in found)
        output.show(table.render(_HEADER, rows))
    else:
        output.note("nobody is locked out")
    return Exit.DONE if found else Exit.NOT_FOUND


def run_end(args: argparse.Namespace) -> int:
    """End a lockout on every node."""
    with daemon(args) as node:
        done = node.ask(EndLockout(aor=args.user, address=args.address), Done)
    if args.json:
        output.show_json(done)
    else:
        output.show(done.detail)
    return Exit.DONE
