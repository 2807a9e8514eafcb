"""`sipfarm node drain` and `undrain`: take this node out of service, and put it back.

In: the command line. Out: progress while other nodes take over, then what was proven. Counterparts:
`operator_messages.Drain`; `overlay.replication.drain` does the work.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Final

from overlay.cli import arguments, output
from overlay.cli.ask_daemon import Daemon, daemon
from overlay.cli.exits import Exit
from overlay.control.operator_messages import Drain, Drained
from overlay.records.draining import DrainPhase, DrainWish, Missing

LOOK_EVERY_S: Final = 0.5
TELL_EVERY_S: Final = 5.0
STILL_S: Final = 5.0
"""After how long without progress the command tells what the node waits for."""
WAIT_DEFAULT_S: Final = 300.0


def add_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs to `sipfarm node`."""
    drain = arguments.add_verb(
        verbs,
        "drain",
        "take this node out of service: nobody will notice when it is stopped",
        "One node at a time: refused (exit 4) while another drains, is dead, does not answer, is\n"
        "not ready, or has the farm's maintenance lease, which the draining node takes. A node\n"
        "that is stopped after that keeps the lease until it is back and serves.\n"
        "'sipfarm node ok-to-stop NODE' asks the same without doing anything.\n"
        "\n"
        "The node leaves the farm's DNS answers within a second, gets no new records, and hands\n"
        "over those that it has. Phones that register here are told to come again soon, and\n"
        "connections are closed after that, so that they find another node. Calls go on.\n"
        "Done when the others were proven, by digests, to hold a copy of every record on all\n"
        "nodes that it belongs to, and no call event waits. When nothing moves for "
        f"{STILL_S:g} s, it says\n"
        "which records and nodes it waits for. Then stop the services, or 'sipfarm node leave'.\n"
        "A restart of the daemon, or 'undrain', ends the draining and gives the lease back.",
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
        help="whatever the others do: also while one drains or is dead, and when fewer than"
        " overlay.write_quorum would stay, so that records have too few copies meanwhile",
    )
    drain.set_defaults(run=run_drain)
    undrain = arguments.add_verb(
        verbs, "undrain", "put this node back into service, and let others drain"
    )
    undrain.set_defaults(run=run_undrain)


def run_drain(args: argparse.Namespace) -> int:
    """Begin draining, and wait. Exit 4 if it is not done in time."""
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
        output.show("\n".join((f"draining: {_progress(drained)}", *_waits_for(drained))))
    return Exit.DONE if done or not args.wait else Exit.REFUSED


def run_undrain(args: argparse.Namespace) -> int:
    """Put the node back into service."""
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
            output.note("\n".join((_progress(drained), *_waits_for(drained))))
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


def _waits_for(drained: Drained) -> Iterator[str]:
    """Lines that name what is missing; none while there is progress."""
    if drained.still_s < STILL_S:
        return
    yield f"nothing has moved for {drained.still_s:.0f} s; it waits for:"
    yield from _named(drained.missing, drained.unproven, "records")
    yield from _named(drained.events, drained.journal, "call events")
    for peer in drained.peers:
        yield f"  {peer.name} has not confirmed {peer.records} records: {peer.why}"


def _named(missing: tuple[Missing, ...], count: int, what: str) -> Iterator[str]:
    for each in missing:
        name = each.name or f"with key {each.key.hex()}"
        yield f"  {each.kind} {name}, not on {', '.join(each.peers) or 'any other node'}"
    if missing and count > len(missing):
        yield f"  and {count - len(missing)} more {what}"


def _shown(drained: Drained) -> dict[str, object]:
    return {
        "phase": drained.phase.name.lower(),
        "records": drained.records,
        "unproven": drained.unproven,
        "copies": drained.copies,
        "journal": drained.journal,
        "problem": drained.problem,
        "still_s": drained.still_s,
        "missing": drained.missing,
        "events": drained.events,
        "peers": drained.peers,
    }
