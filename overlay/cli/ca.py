"""`sipfarm ca`: the farm's certificate authority, on the operator's machine.

In: the command line, signing requests. Out: certificates and whole identities. Counterparts:
`overlay.identity.ca`; `sipfarm node key` makes the requests. No daemon is asked.
"""

import argparse
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from overlay.base.errors import ConfigError
from overlay.cli import arguments, enroll, output, table
from overlay.cli.exits import Exit
from overlay.identity import ca, files, request
from overlay.identity.identity import farm_of_ca, load_ca_certificate
from overlay.identity.ledger import Issued

_EPILOG = """\
The directory of the CA holds the keys that every node trusts, the CA's and the operator's: keep it
off the nodes, and backed up.
examples:
  sipfarm ca init --ca ./ca --farm farm.example.com
  sipfarm ca serve --ca ./ca --listen 192.0.2.5            for nodes that join with a token
  sipfarm ca token --ca ./ca                               one token, for one node
  sipfarm ca issue --ca ./ca n1 192.0.2.11 --into ./n1     a whole identity, to copy to n1
  sipfarm ca sign --ca ./ca n1.csr --out node.pem          for a key that n1 has made
  sipfarm ca revoke --ca ./ca n1                           for good; then 'sipfarm node revoke'
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "ca",
        help="the farm's certificate authority: init, serve, token, sign, issue, revoke, list",
        epilog=_EPILOG,
        formatter_class=arguments.Help,
    )
    verbs = parser.add_subparsers(dest="ca_verb", required=True, metavar="VERB")
    init = _add(verbs, "init", "make a farm's CA", run_init)
    init.add_argument("--farm", required=True, metavar="NAME", help="the farm's SIP domain")
    init.add_argument("--days", type=int, default=ca.CA_DAYS, help="default: %(default)s")
    sign = _add(verbs, "sign", "sign a node's request", run_sign)
    sign.add_argument("csr", type=Path, metavar="CSR", help="made by 'sipfarm node key'")
    sign.add_argument("--node", default="", metavar="NAME", help="default: as requested")
    sign.add_argument("--address", default="", metavar="ADDRESS", help="default: as requested")
    sign.add_argument("--out", type=Path, metavar="PATH", help="default: stdout")
    issue = _add(verbs, "issue", "make a node's whole identity, its key included", run_issue)
    issue.add_argument("node", metavar="NODE", help="its name, one DNS label")
    issue.add_argument("address", metavar="ADDRESS", help="its IP address")
    issue.add_argument("--into", type=Path, required=True, metavar="DIR")
    for each in (sign, issue):
        each.add_argument("--days", type=int, default=ca.NODE_DAYS, help="default: %(default)s")
        each.add_argument(
            "--replace", action="store_true", help="even if another key holds this name"
        )
    enroll.add_token(_add(verbs, "token", "make a token, with which one node can join", None))
    enroll.add_serve(_add(verbs, "serve", "run the enrollment service, for nodes that join", None))
    revoke = _add(verbs, "revoke", "put a node on the signed list of revoked ones", run_revoke)
    revoke.add_argument("node", metavar="NODE", help="its name, or its id in hex")
    _add(verbs, "list", "list what was issued", run_list)


def run_init(args: argparse.Namespace) -> int:
    """Make a CA."""
    ca.create(args.ca, args.farm, args.days)
    if args.json:
        output.show_json({"ca": str(args.ca), "farm": args.farm})
    else:
        output.show(f"made the CA of {args.farm} in {args.ca}; keep its keys safe")
        output.note(f"next: sipfarm ca issue --ca {args.ca} NODE ADDRESS --into DIR")
    return Exit.DONE


def run_sign(args: argparse.Namespace) -> int:
    """Sign a request, with the names in it or with those of the command line."""
    csr_pem = files.read_public(args.csr)
    asked = request.read(csr_pem)
    node, address = args.node or asked.node, args.address or asked.address
    if not node or not address:
        raise ConfigError(f"{args.csr}: names no node or address: give --node and --address")
    pem = ca.sign(args.ca, csr_pem, node, address, args.days, replace=args.replace)
    if args.out is not None:
        files.write_public(args.out, pem)
    if args.json:
        made = {"node": node, "address": address, "node_id": asked.node_id}
        output.show_json({**made, "certificate": pem.decode()})
    elif args.out is None:
        output.show(pem.decode().rstrip())
    output.note(f"signed {node} at {address}, id {asked.node_id.hex()}")
    others = f"{files.CA_CERTIFICATE}, {files.OPERATOR_PUBLIC} and {files.FARM_SECRET}"
    output.note(f"the node also needs {others} of {args.ca}")
    return Exit.DONE


def run_issue(args: argparse.Namespace) -> int:
    """Make an identity."""
    farm = farm_of_ca(load_ca_certificate(args.ca / files.CA_CERTIFICATE))
    ca.issue(args.ca, farm, args.node, args.address, args.into, args.days, replace=args.replace)
    made = ca.issued(args.ca)[-1]
    if args.json:
        output.show_json(made)
    else:
        output.show(f"made the identity of {made.node} in {args.into}, id {made.node_id}")
    return Exit.DONE


def run_revoke(args: argparse.Namespace) -> int:
    """Revoke a node, and tell the operator how the farm learns of it."""
    revoked, node_id = ca.revoke(args.ca, args.node)
    path = args.ca / files.REVOKED
    if args.json:
        count = len(revoked.node_ids)
        known = {"node": args.node, "node_id": node_id, "list": str(path)}
        output.show_json({**known, "version": revoked.version, "revoked": count})
        return Exit.DONE
    output.show(f"revoked {args.node}, id {node_id}; {len(revoked.node_ids)} are on {path}")
    output.note(f"next, at any node: sipfarm node revoke --list {path.name}")
    return Exit.DONE


def run_list(args: argparse.Namespace) -> int:
    """List the certificates in the ledger."""
    entries = ca.issued(args.ca)
    if args.json:
        output.show_json({"issued": entries})
        return Exit.DONE
    now = datetime.now(UTC)
    revoked = {node_id.hex() for node_id in ca.revocation_list(args.ca).node_ids}
    rows = (
        (
            entry.node,
            entry.address,
            entry.node_id,
            f"{entry.issued_at:%Y-%m-%dT%H:%M:%SZ}",
            f"{entry.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            _state(entry, revoked, now),
            entry.by,
            entry.serial,
        )
        for entry in entries
    )
    header = ("NODE", "ADDRESS", "ID", "ISSUED", "EXPIRES", "STATE", "BY", "SERIAL")
    output.show(table.render(header, rows))
    return Exit.DONE


def _state(entry: Issued, revoked: Collection[str], now: datetime) -> str:
    if entry.expires_at < now:
        return "expired"
    return "revoked" if entry.node_id in revoked else "in force"


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: object,
) -> argparse.ArgumentParser:
    parser = arguments.add_verb(verbs, name, text)
    parser.add_argument(
        "--ca", type=Path, default=Path("ca"), metavar="DIR", help="the CA (default: ./ca)"
    )
    parser.set_defaults(run=run)
    return parser
