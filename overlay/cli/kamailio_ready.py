"""`sipfarm node kamailio-ready`: says whether this node's Kamailio answers.

In: the command line, farm.toml. Out: a line, or a reason and exit code 3. Counterparts:
`overlay.kamailio.options_ping`; units and scripts that start Kamailio wait for this command.
"""

import argparse

from overlay.cli import arguments, output
from overlay.cli.exits import Exit
from overlay.kamailio.options_ping import why_silent


def add_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to `sipfarm node`."""
    parser = arguments.add_verb(
        verbs,
        "kamailio-ready",
        "whether this node's Kamailio answers; exit 3 if it does not",
        "It is asked by SIP OPTIONS over UDP at node.address; any final answer will do. For units\n"
        "and scripts that start Kamailio: the daemon need not run.",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long to go on asking one that does not answer yet (default: 0)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask Kamailio until it answers."""
    reason = why_silent(arguments.load_config(args), args.wait)
    if args.json:
        output.show_json({"ready": not reason, "reason": reason})
    elif reason:
        output.note(f"Kamailio is not ready: {reason}")
    else:
        output.show("Kamailio answers")
    return Exit.UNREACHABLE if reason else Exit.DONE
