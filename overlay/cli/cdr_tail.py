"""`sipfarm cdr tail`: shows billing records as they come about.

In: the command line; once a second, the calls of all nodes that had an event in the last seconds.
Out: a line for each record, and again when the record changes. Counterparts:
`operator_messages.ListCopies`; `overlay.billing.following` says which records are new.
"""

import argparse
import sys
import time
from typing import Final

from overlay.base.errors import UnavailableError
from overlay.billing.following import Following
from overlay.cli import arguments, cdr_rows, exits, output, table
from overlay.cli.ask_daemon import Daemon, daemon
from overlay.cli.exits import Exit
from overlay.control.client import RefusedError
from overlay.control.operator_messages import Copies, ListCopies
from overlay.records import call
from overlay.records.call import CallEvent

PAUSE_S: Final = 1.0
OVERLAP_US: Final = 10_000_000
"""How late, in us, an event may reach a node that answers and still be shown."""
EVENTS_AT_ONCE: Final = 20_000
"""How many events are collected before their records are shown, if much is past. A call whose
events come in two parts is shown twice."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = arguments.add_verb(
        verbs,
        "tail",
        "follow billing records as they come about",
        "A record is told when its call begins and again when it changes: `state` says how far it\n"
        "is. Goes on when the daemon was restarted, until Ctrl-C. An event that is on its way\n"
        f"for more than {OVERLAP_US // 1_000_000} s, in the journal of a node that was cut off,\n"
        "is not told; an export gets it, and `sipfarm cdr list`.\n\n"
        "examples:\n  sipfarm cdr tail --subscriber alice\n  sipfarm cdr tail --since 1h --json",
    )
    parser.add_argument("--subscriber", default="", metavar="AOR", help="caller or callee")
    parser.add_argument(
        "--since",
        "--from",
        type=arguments.moment_us,
        default=0,
        metavar="TIME",
        help="begin with calls that had an event since then; default: now",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print records until Ctrl-C."""
    aor = ""
    if args.subscriber:
        aor = arguments.aor_of(args.subscriber, arguments.known_config(args))
    following = Following(subscriber=aor)
    since_us, problem = args.since or time.time_ns() // 1000, ""
    with daemon(args) as node:
        while True:
            now_us = time.time_ns() // 1000
            try:
                silent = _tell(node, args, following, since_us)
            except (UnavailableError, RefusedError) as error:
                if isinstance(error, RefusedError) and exits.code_of(error) is Exit.USAGE:
                    raise
                if str(error) != problem:
                    problem = str(error)
                    output.note(problem)
            else:
                if problem:
                    output.note("the daemon answers again")
                problem = ""
                if not silent:
                    # If a node is silent, what it writes meanwhile is still to be shown.
                    since_us = max(since_us, now_us - OVERLAP_US)
            time.sleep(PAUSE_S)


def _tell(node: Daemon, args: argparse.Namespace, following: Following, since_us: int) -> bool:
    """Print the records that are new. Whether a node was silent."""
    cursor, silent = "", False
    events: list[tuple[CallEvent, tuple[str, ...]]] = []
    while True:
        answer = node.ask(ListCopies(cursor=cursor, since_us=since_us), Copies)
        silent = silent or bool(answer.silent)
        events += ((call.decode(copy.body), copy.holders) for copy in answer.copies)
        cursor = answer.cursor
        if not cursor or len(events) >= EVENTS_AT_ONCE:
            for record in following.news(events):
                if args.json:
                    output.show_json(record)
                else:
                    output.show(table.line(cdr_rows.row(record)))
            sys.stdout.flush()
            events.clear()
        if not cursor:
            return silent
