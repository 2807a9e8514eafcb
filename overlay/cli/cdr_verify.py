"""`sipfarm cdr verify`: finds out whether billing records were altered, removed or made up.

In: the command line, the CA's certificate, every node's copies. Out: what is wrong, by name.
Counterparts: `operator_messages.ListCopies`; `overlay.billing.audit` compares.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from overlay.billing.audit import Audit, Finding
from overlay.billing.retention import horizon_us
from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import Daemon, completeness, daemon
from overlay.cli.exits import Exit
from overlay.control.operator_messages import Copies, EventCopy, ListCopies
from overlay.identity import files
from overlay.identity.identity import load_ca_certificate
from overlay.records import call

BLOCKS_BEFORE_US: Final = 3_600_000_000
"""How much earlier than the events their blocks are looked for, in us. No block is older than its
events, but clocks differ."""
_HEADER = ("WHAT", "NODE", "EVENT OR BLOCK", "CALL-ID", "HELD BY")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that is printed as JSON."""

    events: int
    blocks: int
    findings: tuple[Finding, ...]
    unsigned: dict[str, tuple[str, ...]]
    """The ids of events that no block contains, by node: those of the last seconds, and of the last
    seconds before a crash."""
    silent: tuple[str, ...]


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = arguments.add_verb(
        verbs,
        "verify",
        "prove that no call event was altered or removed",
        "Every node signs what it writes. All copies on all nodes are held against that;\n"
        "exit code 1 if something is wrong. Events of the last day are looked at, unless told\n"
        "otherwise; each takes this command about a kilobyte of memory.\n\n"
        "examples:\n  sipfarm cdr verify\n"
        "  sipfarm cdr verify --from 2026-01-01 --to 2026-01-08 --json",
    )
    arguments.add_span(parser, since="1d")
    parser.add_argument(
        "--ca", type=Path, metavar="PATH", help="the farm's ca.pem; default: this node's"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare. Exit 1 if something is wrong, 4 if a node was silent."""
    config, now_us = arguments.known_config(args), time.time_ns() // 1000
    path = args.ca
    if path is None:
        config = config or arguments.load_config(args)
        path = Path(config.node.identity_dir) / files.CA_CERTIFICATE
    since_us, until_us = args.since, args.until or now_us
    if config is not None and config.billing.retention_days:
        # A block may outlive its oldest events by a little.
        horizon = horizon_us(now_us // 1000, config.billing.retention_days)
        since_us = max(since_us, horizon + BLOCKS_BEFORE_US)
    audit = Audit(authority=load_ca_certificate(path), since_us=since_us, until_us=until_us)
    silent: dict[str, None] = {}
    with daemon(args) as node:
        begin_us = max(0, since_us - BLOCKS_BEFORE_US)
        for copy in _copies(node, begin_us, 0, silent, chained=True):
            audit.block(call.decode(copy.body), copy.holders)
        if audit.lacking():
            for copy in _copies(node, begin_us, 0, silent, chained=True):
                audit.block(call.decode(copy.body), copy.holders)
        audit.all_blocks()
        for copy in _copies(node, since_us, until_us, silent, chained=False):
            audit.event(call.decode(copy.body), copy.holders)
    audit.finish()
    report = Report(
        events=audit.events,
        blocks=audit.blocks,
        findings=tuple(audit.findings),
        unsigned={name: tuple(ids) for name, ids in sorted(audit.unsigned.items())},
        silent=tuple(silent),
    )
    if args.json:
        output.show_json(report)
    else:
        _show(report)
    incomplete = completeness(report.silent)
    return Exit.NOT_FOUND if report.findings else incomplete


def _copies(
    node: Daemon, since_us: int, until_us: int, silent: dict[str, None], chained: bool
) -> Iterator[EventCopy]:
    cursor = ""
    while True:
        answer = node.ask(
            ListCopies(cursor=cursor, since_us=since_us, until_us=until_us, chained=chained),
            Copies,
        )
        silent.update(dict.fromkeys(answer.silent))
        yield from answer.copies
        if not answer.cursor:
            return
        cursor = answer.cursor


def _show(report: Report) -> None:
    if report.findings:
        rows = (
            (each.kind, each.node, each.what, each.call_id or None, ", ".join(each.held_by) or None)
            for each in report.findings
        )
        output.show(table.render(_HEADER, rows))
    unsigned = ", ".join(f"{len(ids)} of {name}" for name, ids in report.unsigned.items())
    output.show(
        f"{report.events} events, {report.blocks} signed blocks: "
        f"{len(report.findings) or 'nothing'} wrong; not signed: {unsigned or 'none'}"
    )
