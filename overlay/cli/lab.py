"""`sipfarm lab`: a farm of real nodes on this machine, to try things on and to break.

In: the command line. Out: a report on stdout, progress on stderr. Counterpart: `deploy.lab.Lab`,
which does all of the work.
"""

import argparse
import os
import signal
import sys
import tomllib
from typing import Any

import msgspec

from overlay.base.errors import SipfarmError

try:
    from deploy.lab import Lab, LabError, services
    from deploy.lab.description import LabDescription
except ModuleNotFoundError as error:
    if error.name != "deploy":
        raise
    raise SipfarmError(
        "the lab is not part of the package: run it from the project's source"
    ) from error


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its own verbs to the command line."""
    parser = subparsers.add_parser("lab", help="a farm in network namespaces of this machine")
    parser.set_defaults(run=run)
    verbs = parser.add_subparsers(dest="lab_verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start a lab and wait until it is ready")
    up.add_argument("--nodes", type=int, default=3, metavar="N")
    up.add_argument("--farm", default="farm.test", metavar="NAME", help="the farm's SIP domain")
    up.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="settings"
    )
    up.add_argument(
        "--processes",
        default=",".join(services.ALL),
        metavar="NAMES",
        help="which to run, separated by commas (default: all)",
    )
    up.add_argument(
        "--ready-within",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long the farm may take (default: more for more nodes)",
    )
    status = verbs.add_parser("status", help="what there is, and what runs")
    for each in (up, status):
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    execute = verbs.add_parser("exec", help="run a command on a node or on a phone host (p1, …)")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    helps = {
        "kill": "SIGKILL a node's processes",
        "freeze": "SIGSTOP a node's processes",
        "thaw": "SIGCONT a node's processes",
        "stop": "SIGTERM a node's processes and wait for their end",
        "start": "start what does not run, and wait until it is ready",
    }
    for verb, text in helps.items():
        each = verbs.add_parser(verb, help=text)
        each.add_argument("node")
        each.add_argument("--process", default="", metavar="NAME", help="only this one")
    join = verbs.add_parser("join", help="let a further node join with a token (n4, …)")
    join.add_argument("node")
    cut = verbs.add_parser("cut", help="cut hosts off from all others; replaces an earlier cut")
    cut.add_argument("hosts", nargs="+", help="names, separated by commas or blanks")
    verbs.add_parser("heal", help="undo cut")
    logs = verbs.add_parser("logs", help="print a node's logs")
    logs.add_argument("node")
    logs.add_argument("--process", default="", metavar="NAME", help="only this one")
    logs.add_argument("--follow", action="store_true")
    verbs.add_parser("down", help="remove the lab, in whatever state it is")


def run(args: argparse.Namespace) -> int:
    """Do what the command line says. Errors are `SipfarmError`s."""
    match args.lab_verb:
        case "up":
            # Treat SIGTERM like Ctrl-C: `Lab.up` then removes what it has made so far.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            lab = Lab.up(
                args.nodes,
                farm=args.farm,
                settings=_settings(args.settings),
                which=[name for name in args.processes.split(",") if name],
                report=_progress,
                timeout_s=args.ready_within,
            )
            _print(lab.describe(), as_json=args.json)
        case "status":
            _print(Lab.attach().describe(), as_json=args.json)
        case "down":
            if not Lab.down(_progress):
                _progress("no lab was up")
        case "exec":
            return _exec(args.host, args.command)
        case "logs":
            return _logs(args.node, args.process, follow=args.follow)
        case "join":
            took_s = Lab.attach().join(args.node, report=_progress)
            _progress(f"{args.node} serves {took_s:.1f} s after it got its token")
        case "cut":
            Lab.attach().cut([name for text in args.hosts for name in text.split(",") if name])
        case "heal":
            Lab.attach().heal()
        case _:
            _signal(args.lab_verb, args.node, args.process)
    return 0


def _signal(verb: str, node: str, process: str) -> None:
    lab = Lab.attach()
    match verb:
        case "kill":
            lab.kill(node, process)
        case "freeze":
            lab.freeze(node, process)
        case "thaw":
            lab.thaw(node, process)
        case "stop":
            lab.stop(node, process)
        case "start":
            lab.start(node, process)
            lab.wait_ready(report=_progress)


def _exec(name: str, command: list[str]) -> int:
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        raise LabError("no command given: sipfarm lab exec HOST -- COMMAND")
    argv = Lab.attach().command_on(name, command)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def _logs(name: str, process: str, *, follow: bool) -> int:
    lab = Lab.attach()
    node = lab.node(name)
    names = [process] if process else list(services.ALL)
    logs = [str(node.log(each)) for each in names if node.log(each).exists()]
    if not logs:
        raise LabError(f"{name} has no log of {' '.join(names)}")
    sys.stdout.flush()
    options = ["-f"] if follow else []
    os.execvp("tail", ["tail", "-n", "+1", *options, *logs])


def _settings(texts: list[str]) -> dict[str, object]:
    """The values by `section.key`. A value that is not TOML is taken as text."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise LabError(f"--set {text}: must be SECTION.KEY=VALUE")
        try:
            parsed: dict[str, Any] = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            parsed = {"value": value}
        found[name.strip()] = parsed["value"]
    return found


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(lab: LabDescription, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(lab).decode())
        return
    print(f"{lab.farm} on {lab.bridge}, this machine at {lab.gateway}")
    for node in lab.nodes:
        running = " ".join(f"{each.name}={each.state}" for each in node.processes)
        cut = "  cut off" if node.cut else ""
        print(f"{node.name:<4} {node.address:<12} {running}{cut}")
    for phone in lab.phones:
        print(f"{phone.name:<4} {phone.address:<12} phone host{'  cut off' if phone.cut else ''}")
