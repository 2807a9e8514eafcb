"""`sipfarm`: the operator's command. It asks any node, and answers for the farm.

In: the command line. Out: an answer on stdout, everything else on stderr, an exit code of
`exits.py`. Counterparts: the files beside this one, one for each verb. Only the file of the verb at
hand is imported, so that no verb waits for, or fails with, an import that only another verb needs.
"""

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Final

from overlay.base.errors import SipfarmError, UnavailableError
from overlay.base.version import VERSION
from overlay.cli import arguments, exits
from overlay.cli.exits import Exit
from overlay.cli.output import note

VERBS: Final = {
    "status": ("overlay.cli.status", "how every node is; fails if the asked one is not ready"),
    "nodes": ("overlay.cli.nodes", "the farm's members: names, addresses, ids, states"),
    "location": ("overlay.cli.location", "where a subscriber is registered"),
    "cdr": ("overlay.cli.cdr", "billing records: list, show"),
    "subscriber": ("overlay.cli.subscriber", "subscribers: add, list, remove"),
    "lockout": ("overlay.cli.lockout", "who guessed too many passwords: list, end"),
    "trunk": ("overlay.cli.trunk", "trunks to carriers, numbers, emergency calls"),
    "ca": ("overlay.cli.ca", "the farm's certificate authority: serve, token, revoke, ..."),
    "node": (
        "overlay.cli.node",
        "this node: join the farm, hand it revocations, leave it",
    ),
    "check-config": ("overlay.cli.check_config", "check farm.toml and this node's identity"),
    "render": ("overlay.cli.render", "write what Kamailio, Redis and PowerDNS of this node read"),
    "lab": ("overlay.cli.lab", "a farm in network namespaces of this machine, to try things on"),
}

_EXAMPLES: Final = """\
examples:
  Make a farm: a CA on the operator's machine, an identity for each node.
    sipfarm ca init --ca ./ca --farm farm.example.com
    sipfarm ca issue --ca ./ca n1 192.0.2.11 --into ./n1
  Or with a token for each node: on the operator's machine, then on the node.
    sipfarm ca serve --ca ./ca --listen 192.0.2.5 &
    sipfarm ca token --ca ./ca
    sipfarm node join --token sipfarm1-...
  Or, where keys must not travel: on the node, then on the operator's machine.
    sipfarm node key --out n1.csr
    sipfarm ca sign --ca ./ca n1.csr --out node.pem

  Let alice register; the password is asked for.
    sipfarm subscriber add alice@farm.example.com
  Where is she?
    sipfarm location alice
  Calls to numbers go to a carrier; where does this one go?
    sipfarm trunk add north --prefixes + --gateway sbc.north.example
    sipfarm trunk route 0301234567
  Her calls of the last day, and one of them.
    sipfarm cdr list --subscriber alice --since 1d
    sipfarm cdr show a84b4c76e66710@pc33.example.com
  Is the farm well? In a script: --json, and the exit code.
    sipfarm status
    sipfarm status --json | jq -r '.nodes[] | select(.ready | not) | .name'

  Try things on a farm of three nodes on this machine; only from the source.
    sipfarm lab up --nodes 3
"""


def _with_call_ids(argv: list[str]) -> list[str]:
    """The same command line, changed so that a Call-ID that begins with a dash is not taken for
    options. One in 64 Call-IDs of many phones begins so."""
    if ("cdr", "show") not in pairwise(argv) or "--" in argv:
        return argv
    dashed = [word for word in argv if len(word) > 2 and word[0] == "-" and word[1] != "-"]
    return [*(word for word in argv if word not in dashed), "--", *dashed] if dashed else argv


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line. The exit code."""
    argv = _with_call_ids(sys.argv[1:] if argv is None else list(argv))
    try:
        parser = parser_of({_verb_of(argv)})
        args = parser.parse_args(argv, argparse.Namespace(**arguments.defaults()))
        code: int = args.run(args)
        sys.stdout.flush()
    except SipfarmError as error:
        note(str(error))
        if isinstance(error, UnavailableError):
            note("is the daemon running, and may this user open its socket?")
        return exits.code_of(error)
    except BrokenPipeError:
        # The program that read our output has seen enough. Without this, Python would complain once
        # more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return code


def parser_of(verbs: Collection[str]) -> argparse.ArgumentParser:
    """A parser that knows these verbs in full. Of the other verbs it only knows that they exist."""
    parser = argparse.ArgumentParser(
        prog="sipfarm",
        description="Operate a sipfarm: ask any node, get the answer of the whole farm.",
        epilog=f"{_EXAMPLES}\n{exits.EXPLANATION}\n'sipfarm VERB --help' tells more of a verb.",
        formatter_class=arguments.Help,
    )
    parser.add_argument("--version", action="version", version=f"sipfarm {VERSION}")
    arguments.add_common(parser)
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    for name, (module, text) in VERBS.items():
        if name in verbs:
            import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text)
    return parser


def _verb_of(argv: Sequence[str]) -> str:
    """The verb in a command line, found before the whole is parsed; empty if there is none."""
    scout = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    arguments.add_common(scout)
    scout.add_argument("rest", nargs=argparse.REMAINDER)
    try:
        rest: list[str] = scout.parse_known_args(argv)[0].rest
    except argparse.ArgumentError:
        return ""
    return rest[0] if rest else ""


if __name__ == "__main__":
    sys.exit(main())
