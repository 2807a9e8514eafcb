"""`sipfarm node ok-to-stop`: says whether a node may be stopped now.

In: the command line. Out: yes, or the reasons against it, one a line. Counterparts:
`operator_messages.OkToStop`; `overlay.maintenance.verdict` decides.
"""

import argparse

from overlay.cli import arguments, output, table
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.operator_messages import OkToStop, StopAdvice


def add_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to `sipfarm node`."""
    verb = arguments.add_verb(
        verbs,
        "ok-to-stop",
        "may a node be stopped now? Answers with reasons, and does nothing",
        "Ask it at any node, of any node. It is not, with a reason a line and exit code 4, while\n"
        "another node is dead, does not answer, drains, is not ready or has the maintenance\n"
        "lease; when too few nodes would stay in service for a write (overlay.write_quorum), or\n"
        "none; and while call events are on too few disks. Exit code 1: there is no such node.\n"
        "Whether others hold all of the node's records is what 'sipfarm node drain' finds out.\n"
        "\n"
        "example: restart n2 only if nobody will notice\n"
        "  sipfarm node ok-to-stop n2 && ssh n2 'sipfarm node drain && reboot'",
    )
    verb.add_argument("node", metavar="NODE", help="its name, as in 'sipfarm nodes'")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print. Exit 4 if the node had better not be stopped."""
    with daemon(args) as node:
        advice = node.ask(OkToStop(node=args.node), StopAdvice)
    if args.json:
        output.show_json(advice)
    elif advice.ok:
        output.show(f"{advice.node} may be stopped")
    else:
        output.show("\n".join(map(table.printable, advice.reasons)))
    return Exit.DONE if advice.ok else Exit.REFUSED
