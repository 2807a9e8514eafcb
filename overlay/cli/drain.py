"""`sipfarm node drain` and `undrain`: take this node out of service, and back.

In: the command line. Out: progress while others take over, then what was proven. Counterparts:
`messages.Drain`; `overlay.replication.drain` does it.
"""

import argparse
import time
from typing import Final

from overlay.cli import arguments, output
from overlay.cli.asking import Daemon, daemon
from overlay.cli.exits import Exit
from overlay.control.messages import Drain, Drained, DrainPhase, DrainWish

LOOK_EVERY_S: Final = 0.5
TELL_EVERY_S: Final = 5.0
WAIT_DEFAULT_S: Final = 300.0


def add_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them to `sipfarm node`."""
    drain = arguments.add_verb(
        verbs,
        "drain",
        "take this node out of service: nobody will notice when it is stopped",
        "The node leaves the farm's DNS answers within a second, gets no new records, and hands\n"
        "over those that it has. Phones that register here are told to come again soon, and\n"
        "connections are closed after that, so that they find another node. Calls go on.\n"
        "Done when the others were proven, by digests, to hold a copy of every record on all\n"
        "nodes that it belongs to, and no call event waits. Then stop the services, or\n"
        "'sipfarm node leave'. A restart of the daemon, or 'undrain', ends the draining.",
    )
    drain.add_argument(
        "--wait",
        type=float,
        default=WAIT_DEFAULT_S,
        metavar="SECONDS",
        help="how long to wait until it is done; the draining goes on after that"
        f" (default: {WAIT_DEFAULT_S:g}; 0: only begin)",
    )
    drain.add_argument(
        "--force",
        action="store_true",
        help="also when fewer nodes than overlay.write_quorum would stay in service",
    )
    drain.set_defaults(run=run_drain)
    undrain = arguments.add_verb(verbs, "undrain", "put this node back into service")
    undrain.set_defaults(run=run_undrain)


def run_drain(args: argparse.Namespace) -> int:
    """Begin, and wait; exit 4 if it is not done in time."""
    wish = DrainWish.BEGIN_FORCED if args.force else DrainWish.BEGIN
    with daemon(args) as node:
        drained = node.ask(Drain(wish=wish), Drained)
        drained = _wait(node, drained, args.wait)
    done = drained.phase is DrainPhase.DRAINED
    if args.json:
        output.show_json({**_shown(drained), "drained": done})
    elif done:
        output.show(
            f"drained: {drained.records} records, each on {drained.copies} or more other nodes"
            if drained.records
            else "drained: it held no records"
        )
        output.note("next: stop its services, or 'sipfarm node undrain'")
    else:
        output.show(f"draining: {_progress(drained)}")
    return Exit.DONE if done or not args.wait else Exit.REFUSED


def run_undrain(args: argparse.Namespace) -> int:
    """Serve again."""
    with daemon(args) as node:
        drained = node.ask(Drain(wish=DrainWish.END), Drained)
    if args.json:
        output.show_json(_shown(drained))
    else:
        output.show("serving")
    return Exit.DONE


def _wait(node: Daemon, drained: Drained, wait_s: float) -> Drained:
    began_s = told_s = time.monotonic()
    while drained.phase is DrainPhase.DRAINING and time.monotonic() - began_s < wait_s:
        if time.monotonic() - told_s >= TELL_EVERY_S:
            told_s = time.monotonic()
            output.note(_progress(drained))
        time.sleep(LOOK_EVERY_S)
        drained = node.ask(Drain(), Drained)
    return drained


def _progress(drained: Drained) -> str:
    parts = [f"{drained.unproven} of {drained.records} records to be proven"]
    if drained.journal:
        parts.append(f"{drained.journal} call events on too few disks")
    if drained.problem:
        parts.append(drained.problem)
    return "; ".join(parts)


def _shown(drained: Drained) -> dict[str, object]:
    return {
        "phase": drained.phase.name.lower(),
        "records": drained.records,
        "unproven": drained.unproven,
        "copies": drained.copies,
        "journal": drained.journal,
        "problem": drained.problem,
    }
