"""`sipfarm status`: shows how every node is.

In: the command line. Out: a line for each node, the asked one first. Exit 1 if the asked node is
not ready. Counterpart: `operator_messages.Status`.
"""

import argparse

from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.operator_messages import GetStatus, Status
from overlay.records.node_status import NodeStatus

_HEADER = (
    "NODE",
    "STATE",
    "READY",
    "ADDRESS",
    "ZONE",
    "UPTIME",
    "VERSION",
    "BINDINGS",
    "CALLS",
    "SUBSCRIBERS",
    "JOURNAL",
    "REDIS",
    "DISK",
    "PROXY",
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = arguments.add_verb(
        subparsers,
        "status",
        "how every node is; fails if the asked one is not ready",
        "BINDINGS, CALLS and SUBSCRIBERS are records that a node holds as a replica. JOURNAL is\n"
        "call events that are on too few disks yet; it should go back to 0. PROXY tells whether\n"
        "Kamailio answers, and how many new requests it has refused with 503 since its start,\n"
        "being behind with its work. VERSION is what runs, and what is installed where a restart\n"
        "would bring another one into force. Why a node is not ready stands below the table.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print. The exit code tells whether the asked node is ready."""
    with daemon(args) as node:
        status = node.ask(GetStatus(), Status)
    if args.json:
        output.show_json(status)
    else:
        output.show(f"farm {table.printable(status.farm)}")
        output.show(table.render(_HEADER, (_row(each) for each in status.nodes)))
        for each in status.nodes:
            for reason in each.unready:
                output.show(f"{table.printable(each.name)} is not ready: {table.printable(reason)}")
    return Exit.DONE if status.nodes and status.nodes[0].ready else Exit.NOT_FOUND


def _row(node: NodeStatus) -> tuple[table.Cell, ...]:
    if not node.version:
        return (node.name, node.state, "no", node.address, node.zone or None, *[None] * 9)
    return (
        node.name,
        "draining" if node.draining and node.state == "alive" else node.state,
        "yes" if node.ready else "no",
        node.address,
        node.zone or None,
        output.age_of(node.uptime_s),
        _version(node),
        str(node.bindings),
        str(node.calls),
        str(node.subscribers),
        str(node.journal_depth),
        node.redis,
        node.disk,
        f"{node.proxy}, {node.shed} shed" if node.shed else node.proxy or None,
    )


def _version(node: NodeStatus) -> str:
    if node.installed in ("", node.version):
        return node.version
    return f"{node.version} ({node.installed} installed)"
