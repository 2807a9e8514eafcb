"""`sipfarm node`: what is done on, or to, this node.

In: the command line, farm.toml. Out: a key and its signing request; a list of revoked nodes, or a
farewell, to the farm. Counterparts: `sipfarm ca sign` and `ca revoke`; `messages.Leave`,
`messages.PutRevocations`.
"""

import argparse
from pathlib import Path

from overlay.cli import arguments, output
from overlay.cli.asking import daemon
from overlay.cli.exits import Exit
from overlay.control.messages import Done, Leave, PutRevocations
from overlay.identity import files, keys, request
from overlay.limits import REVOKED_FILE_BYTES_MAX

_REQUEST = "node.csr"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "node", help="this node: make its key, hand it revocations, leave the farm"
    )
    verbs = parser.add_subparsers(dest="node_verb", required=True, metavar="VERB")
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
    leave = arguments.add_verb(
        verbs, "leave", "leave the farm: tell every peer and stop the daemon"
    )
    leave.set_defaults(run=run_leave)
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
    """Hand the daemon the list."""
    body = files.read_public(args.revoked, REVOKED_FILE_BYTES_MAX)
    with daemon(args) as node:
        done = node.ask(PutRevocations(body=body), Done)
    if args.json:
        output.show_json(done)
    else:
        output.show(done.detail)
    return Exit.DONE
