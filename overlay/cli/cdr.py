"""`sipfarm cdr`: billing records of the whole farm.

In: the command line. Out: a line for each call, or all that is known of one call. Counterpart:
`operator_messages.Calls`.
"""

import argparse
from typing import Final

from overlay.cli import arguments, cdr_rows, cdr_tail, cdr_verify, output, pages, table
from overlay.cli.ask_daemon import Daemon, completeness, daemon
from overlay.cli.exits import Exit
from overlay.cli.pages import Page
from overlay.control.operator_messages import Calls, ListCalls, ShowCall
from overlay.records.billed import DESCRIPTION
from overlay.records.call_record import CallRecord

_OTHERS: Final = tuple(name for name in DESCRIPTION if name not in ("routed_uri", "trunk"))
"""The columns that describe a call and have no place of their own in `cdr show`."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser("cdr", help="billing records: list, show, tail, verify")
    verbs = parser.add_subparsers(dest="cdr_verb", required=True, metavar="VERB")
    listing = arguments.add_verb(
        verbs,
        "list",
        "list calls in order of time",
        "examples:\n  sipfarm cdr list --since 1d --subscriber alice\n"
        "  sipfarm cdr list --since 2026-01-01 --until 2026-02-01 --all --json",
    )
    arguments.add_page(listing)
    listing.add_argument("--subscriber", default="", metavar="AOR", help="caller or callee")
    arguments.add_span(listing)
    listing.add_argument(
        "--open",
        dest="states",
        action="append_const",
        const=("open",),
        help="only calls that have not ended",
    )
    listing.add_argument(
        "--incomplete",
        dest="states",
        action="append_const",
        const=("closed", "orphan"),
        help="only calls whose BYE, or whose answer, was never seen",
    )
    listing.set_defaults(run=run_list)
    show = arguments.add_verb(verbs, "show", "show all records of one call")
    show.add_argument("call_id", metavar="CALL-ID")
    show.set_defaults(run=run_show)
    cdr_tail.add_parser(verbs)
    cdr_verify.add_parser(verbs)


def run_list(args: argparse.Namespace) -> int:
    """Ask for pages and print them. Exit 4 if a node was silent that may hold more."""
    aor = ""
    if args.subscriber:
        aor = arguments.aor_of(args.subscriber, arguments.known_config(args))
    silent: dict[str, None] = {}
    with daemon(args) as node:
        for page in pages.read(args, lambda cursor, limit: _fetch(node, args, aor, cursor, limit)):
            silent.update(dict.fromkeys(page.silent))
            if args.json:
                pages.show_json("calls", page)
                continue
            if page.rows or not args.all:
                output.show(table.render(cdr_rows.HEADER, map(cdr_rows.row, page.rows)))
            if not args.all:
                pages.note_more(page)
    return completeness(tuple(silent))


def run_show(args: argparse.Namespace) -> int:
    """Print all records of a call. Exit 1 if there is none."""
    with daemon(args) as node:
        found = node.ask(ShowCall(call_id=args.call_id), Calls)
    if args.json:
        output.show_json(found)
    else:
        output.show("\n\n".join(_details(call) for call in found.calls))
    incomplete = completeness(found.silent)
    if found.calls or incomplete:
        return incomplete
    output.note(f"no record of the call {args.call_id}")
    return Exit.NOT_FOUND


def _fetch(
    node: Daemon, args: argparse.Namespace, aor: str, cursor: str, limit: int
) -> Page[CallRecord]:
    request = ListCalls(
        cursor=cursor,
        limit=limit,
        subscriber=aor,
        since_us=args.since,
        until_us=args.until,
        states=tuple(state for states in args.states or () for state in states),
    )
    answer = node.ask(request, Calls)
    return Page(rows=answer.calls, cursor=answer.cursor, silent=answer.silent)


def _details(call: CallRecord) -> str:
    return table.details(
        (
            ("Call-ID", call.call_id),
            ("state", call.state),
            ("caller", call.caller),
            ("callee", call.callee),
            ("dialled", call.request_uri),
            *_described(call, "routed_uri"),
            *_described(call, *_OTHERS),
            ("tags", f"{call.from_tag or '-'} {call.to_tag or '-'}"),
            ("answered", output.time_of(call.answer_us)),
            ("ended", output.time_of(call.end_us)),
            ("duration", output.duration_of(call.duration_ms)),
            ("hung up by", call.hangup),
            ("cause", call.cause),
            ("reason", call.reason),
            *_described(call, "trunk"),
            ("status code", str(call.code) if call.code else None),
            ("written by", ", ".join(call.nodes)),
            ("written to", ", ".join(call.levels)),
            ("held by", ", ".join(sorted(call.replicas))),
            ("event ids", " ".join(call.event_ids)),
        )
    )


def _described(call: CallRecord, *names: str) -> list[tuple[str, table.Cell]]:
    return [(DESCRIPTION[name].label, getattr(call, name)) for name in names]
