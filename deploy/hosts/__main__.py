"""The command `deploy/hosts/run`, by which people start and stop test hosts.

In: the command line. Out: hosts that stay until `down`. Counterpart: `hosts.Hosts`.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from deploy.hosts import Hosts, HostsError, host, releases, remote

_ALL = ("op", "n1", "n2", "n3")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line; returns the exit status."""
    args = _parser().parse_args(arguments)
    # SIGTERM must end this program as Ctrl-C does, so that `Hosts.up` removes what it has made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(args)
    except HostsError as error:
        print(f"hosts: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    match args.verb:
        case "prepare":
            Hosts.prepare(args.packages)
            if args.release:
                print(releases.package_of(releases.latest()))
        case "up":
            Hosts.prepare(args.packages)
            _print(Hosts.up(args.hosts.split(","), wanted=args.packages, kept=True))
        case "down":
            if not Hosts.down():
                print("hosts: none were up", file=sys.stderr)
        case "status":
            _print(Hosts.attach())
        case "exec":
            argv = args.command[1:] if args.command[:1] == ["--"] else args.command
            line = remote.ssh_argv(Hosts.attach().host(args.host), argv)
            os.execvp(line[0], line)
        case "add":
            Hosts.attach().add(args.host)
        case "reboot":
            took_s = Hosts.attach().reboot(args.host)
            print(f"{args.host} answers again after {took_s:.1f} s")
        case "kill":
            Hosts.attach().kill(args.host)
        case "start":
            Hosts.attach().start(args.host)
        case "off":
            Hosts.attach().switch_off(args.host)
    return 0


def _print(hosts: Hosts) -> None:
    for name in hosts.names:
        each = host(name)
        print(f"{name:4} {each.address:12} {'answers' if remote.answers(each) else 'silent'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy/hosts/run", description="Debian hosts to test on")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    prepare = verbs.add_parser("prepare", help="fetch and make what hosts need; uses the network")
    prepare.add_argument(
        "--release", action="store_true", help="also build the package of the latest release"
    )
    up = verbs.add_parser("up", help="start hosts and wait until they answer")
    up.add_argument("--hosts", default=",".join(_ALL), metavar="NAMES", help="default: %(default)s")
    for each in (prepare, up):
        each.add_argument(
            "--packages",
            nargs="*",
            default=[],
            metavar="PACKAGE",
            help="what hosts are to be able to install besides what a node needs",
        )
    verbs.add_parser("status", help="which hosts there are, and whether they answer")
    execute = verbs.add_parser("exec", help="run a command on a host, or a shell")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    helps = {
        "add": "start a further host",
        "reboot": "reboot a host and wait until it answers",
        "kill": "SIGKILL all of a host, as when its power fails",
        "off": "let a host shut down",
        "start": "switch on a host that is off",
    }
    for verb, text in helps.items():
        verbs.add_parser(verb, help=text).add_argument("host")
    verbs.add_parser("down", help="remove all hosts, in whatever state they are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
