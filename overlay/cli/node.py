"""`sipfarm node`: what an operator does on this node, or to it.

In: the command line, farm.toml. Out: a key and its signing request, or a whole identity; to the
farm, a list of revoked nodes or a farewell. Counterparts: `sipfarm ca`; `overlay.enrollment`;
`operator_messages.Leave`, `operator_messages.PutRevocations`.
"""

import argparse
import os
import sys
from pathlib import Path

from overlay.base.errors import UnavailableError
from overlay.base.limits import REVOKED_FILE_BYTES_MAX
from overlay.cli import arguments, drain, kamailio_ready, ok_to_stop, output, withdraw
from overlay.cli.ask_daemon import daemon
from overlay.cli.exits import Exit
from overlay.control.control_protocol import Done
from overlay.control.operator_messages import Leave, PutRevocations
from overlay.enrollment.joining import Wishes, join
from overlay.enrollment.token import TOKEN_CHARS_MAX, parse_token
from overlay.identity import files, keys, request

_REQUEST = "node.csr"
_TOKEN_VARIABLE = "SIPFARM_TOKEN"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "node",
        help="this node: join the farm, drain it, hand it revocations, leave it",
    )
    verbs = parser.add_subparsers(dest="node_verb", required=True, metavar="VERB")
    _add_key(verbs)
    _add_join(verbs)
    drain.add_verbs(verbs)
    withdraw.add_verb(verbs)
    ok_to_stop.add_verb(verbs)
    kamailio_ready.add_verb(verbs)
    _add_leave(verbs)
    _add_revoke(verbs)


def _add_key(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    key = arguments.add_verb(
        verbs,
        "key",
        "make this node's key, if it has none, and a request for the CA to sign",
        "The key stays in node.identity_dir; a node that keeps its key keeps its id.\n"
        "The names in the request are those of farm.toml.",
    )
    key.add_argument(
        "--out", type=Path, metavar="PATH", help=f"default: {_REQUEST} in node.identity_dir"
    )
    key.set_defaults(run=run_key)


def _add_join(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    join = arguments.add_verb(
        verbs,
        "join",
        "enroll this node with a token: key, certificate and farm.toml",
        "The key is made here and stays here. Repeat it if it fails: nothing is done twice.\n"
        f"Without --token, the token is taken from ${_TOKEN_VARIABLE}, or read from stdin, where\n"
        "the list of processes does not show it.",
    )
    join.add_argument("--token", default="", metavar="TOKEN", help="made by 'sipfarm ca token'")
    join.add_argument(
        "--name", default="", metavar="NODE", help="default: the token's, or the host's"
    )
    join.add_argument(
        "--address",
        default="",
        metavar="ADDRESS",
        help="where others reach this node (default: its address towards the service)",
    )
    join.add_argument("--data-dir", default="", metavar="DIR")
    join.add_argument("--run-dir", default="", metavar="DIR")
    join.set_defaults(run=run_join)


def _add_leave(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    leave = arguments.add_verb(
        verbs, "leave", "leave the farm: tell every peer and stop the daemon"
    )
    leave.set_defaults(run=run_leave)


def _add_revoke(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    revoke = arguments.add_verb(
        verbs,
        "revoke",
        "hand the farm the operator's list of revoked nodes",
        "example:\n  sipfarm ca revoke --ca ./ca n3\n"
        "  sipfarm node revoke --list ./ca/revoked.list\n"
        "Any node takes the list, and tells every other.",
    )
    revoke.add_argument("--list", type=Path, required=True, metavar="PATH", dest="revoked")
    revoke.set_defaults(run=run_revoke)


def run_key(args: argparse.Namespace) -> int:
    """Make the key, unless there is one, and write the request."""
    config = arguments.load_config(args)
    directory = Path(config.node.identity_dir)
    path = directory / files.NODE_KEY
    made = not path.exists()
    if made:
        keys.save(keys.generate(), path)
    key = keys.load(path)
    out = args.out or directory / _REQUEST
    csr_pem = request.make(key, config.farm.name, config.node.name, config.node.address)
    files.write_public(out, csr_pem)
    node_id = keys.node_id(key.public_key())
    if args.json:
        output.show_json({"key": str(path), "made": made, "csr": str(out), "node_id": node_id})
        return Exit.DONE
    output.show(f"{'made' if made else 'kept'} {path}, id {node_id.hex()}; request in {out}")
    output.note(f"next, where the CA is: sipfarm ca sign {out.name} --out {files.NODE_CERTIFICATE}")
    return Exit.DONE


def run_join(args: argparse.Namespace) -> int:
    """Enroll the node. Exit 3 if the service cannot be reached, 4 if it refuses."""
    text = args.token or os.environ.get(_TOKEN_VARIABLE) or sys.stdin.readline(TOKEN_CHARS_MAX + 2)
    wishes = Wishes(
        config=args.config,
        node=args.name,
        address=args.address,
        data_dir=args.data_dir,
        run_dir=args.run_dir,
    )
    try:
        joined = join(parse_token(text), wishes)
    except UnavailableError as error:
        output.note(f"{error}; nothing is lost, try again")
        return Exit.UNREACHABLE
    node, mine = joined.config.node, joined.identity
    if args.json:
        known = {"node": mine.name, "farm": mine.farm, "address": mine.address}
        known |= {"node_id": mine.node_id.hex(), "config": str(args.config)}
        output.show_json({**known, "already": joined.already})
        return Exit.DONE
    what = "is already" if joined.already else "is now"
    output.show(f"this {what} node {mine.name} of {mine.farm} at {mine.address}")
    output.note(f"{args.config} and the identity in {node.identity_dir} are complete")
    output.note("next: systemctl enable --now sipfarm.target")
    return Exit.DONE


def run_leave(args: argparse.Namespace) -> int:
    """Ask the daemon to leave."""
    with daemon(args) as node:
        done = node.ask(Leave(), Done)
    if args.json:
        output.show_json(done)
    else:
        output.show(done.detail or "leaving")
    return Exit.DONE


def run_revoke(args: argparse.Namespace) -> int:
    """Hand the list to the daemon."""
    body = files.read_public(args.revoked, REVOKED_FILE_BYTES_MAX)
    with daemon(args) as node:
        done = node.ask(PutRevocations(body=body), Done)
    if args.json:
        output.show_json(done)
    else:
        output.show(done.detail)
    return Exit.DONE
