"""`sipfarm node withdraw`: takes this node's Kamailio out of DNS before Kamailio is stopped.

In: the command line. Out: the command ends when no request reaches Kamailio any more, or after
`proxy.stop_s`. Counterparts: the unit sipfarm-kamailio, whose stop begins with this command;
`operator_messages.Withdraw`; `overlay.kamailio.watch`.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from overlay.base.errors import SipfarmError
from overlay.cli import arguments, output
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.control_protocol import Done
from overlay.control.operator_messages import Withdraw
from overlay.kamailio import rpc
from overlay.kamailio.rpc import KamailioError

LOOK_EVERY_S: Final = 0.2
QUIET_S: Final = 1.0
"""After how long without a request all phones are taken to have heard of it."""
_ALL: Final = "core:rcv_requests"
_OPTIONS: Final = "core:rcv_requests_options"


def add_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to `sipfarm node`."""
    parser = arguments.add_verb(
        verbs,
        "withdraw",
        "take this node's Kamailio out of DNS, as it is about to be stopped",
        "Kamailio goes on answering. The command ends when no request has come for a second, or\n"
        "after proxy.stop_s. The unit sipfarm-kamailio runs it at each stop. A Kamailio that is\n"
        "not stopped is back in DNS after a minute. Records stay where they are: see 'drain'.",
    )
    parser.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="how long to wait at the most (default: proxy.stop_s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon, then wait until phones stay away. If the daemon or Kamailio is gone, that is
    no error: then there is nothing to wait for."""
    config = arguments.load_config(args)
    wait_s = config.proxy.stop_s if args.wait is None else args.wait
    try:
        with daemon(args) as node:
            node.ask(Withdraw(), Done)
        problem = ""
    except SipfarmError as error:
        problem = str(error)
        output.note(f"the farm cannot be told: {problem}")
    quiet = wait_until_quiet(lambda: requests_of(config.kamailio_socket), wait_s)
    if args.json:
        output.show_json({"withdrawn": not problem, "problem": problem, "quiet": quiet})
    else:
        output.show("no requests come any more" if quiet else f"requests still come: {wait_s:g} s")
    return Exit.UNREACHABLE if problem else Exit.DONE


def wait_until_quiet(
    count: Callable[[], int | None],
    wait_s: float,
    *,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether the count stood still for `QUIET_S` within `wait_s`. If it is None, the wait ends at
    once."""
    began_s = since_s = now_s()
    last = count()
    while last is not None and now_s() - since_s < QUIET_S:
        if now_s() - began_s >= wait_s:
            return False
        sleep(LOOK_EVERY_S)
        current = count()
        if current != last:
            last, since_s = current, now_s()
    return True


def requests_of(kamailio: Path) -> int | None:
    """How many requests Kamailio has received, without the OPTIONS by which the daemon probes it;
    None if Kamailio does not say."""
    try:
        told = rpc.statistics(rpc.ask(kamailio, rpc.STATISTICS, _ALL, _OPTIONS))
        return told[_ALL] - told[_OPTIONS]
    except (KamailioError, KeyError):
        return None
