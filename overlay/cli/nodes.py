"""`sipfarm nodes`: lists the farm's members, as the asked node knows them.

In: the command line. Out: a line for each node: name, address, id, state. Counterpart:
`operator_messages.Status`.
"""

import argparse

import msgspec

from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.operator_messages import GetStatus, Status

_STATES = ("alive", "suspect", "dead", "left")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = arguments.add_verb(
        subparsers, "nodes", "the farm's members: names, addresses, ids, states"
    )
    parser.add_argument("--state", choices=_STATES, help="only nodes in this state")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print. Exit 1 if there is no such node."""
    with daemon(args) as node:
        status = node.ask(GetStatus(), Status)
    nodes = tuple(each for each in status.nodes if args.state in (None, each.state))
    if args.json:
        output.show_json(msgspec.structs.replace(status, nodes=nodes))
    else:
        rows = ((each.name, each.state, each.address, each.id) for each in nodes)
        output.show(table.render(("NODE", "STATE", "ADDRESS", "ID"), rows))
    return Exit.DONE if nodes else Exit.NOT_FOUND
