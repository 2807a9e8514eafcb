"""`sipfarm check-config`: says whether a node can run with this farm.toml.

In: farm.toml, and with `--identity` the keys and certificates that it names. Out: what is wrong, or
what the daemon will use. Exit 2 for a bad configuration, 4 for a bad identity.
"""

import argparse
from pathlib import Path

import msgspec

from overlay.base.errors import IdentityError
from overlay.cli import arguments, output
from overlay.cli.exits import Exit
from overlay.config import config as configuration
from overlay.dns import tsig
from overlay.identity import identity as identities
from overlay.identity import sip_certificate


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = arguments.add_verb(
        subparsers, "check-config", "check farm.toml and this node's identity"
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="default: as --config")
    parser.add_argument(
        "--identity", action="store_true", help="check the keys and the certificates, too"
    )
    parser.add_argument(
        "--show", action="store_true", help="print the configuration, every default written out"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, and print what was checked."""
    args.config = type(args.config)(args.path) if args.path else args.config
    config = arguments.load_config(args)
    identity = identities.load(config) if args.identity else None
    if args.identity and config.dns_update.server:
        tsig.load(Path(config.dns_update.key_file))
    if args.identity and (problem := sip_certificate.problem(config)):
        raise IdentityError(f"SIP over TLS: {problem}")
    if args.json:
        known: dict[str, object] = {"path": str(args.config), "config": msgspec.to_builtins(config)}
        if identity is not None:
            known |= {"node_id": identity.node_id, "expires_at": identity.expires_at}
        output.show_json(known)
        return Exit.DONE
    if args.show:
        output.show(configuration.dump(config).rstrip())
    output.note(f"{args.config}: good; node {config.node.name} of {config.farm.name}")
    if identity is not None:
        output.note(f"identity {identity.node_id.hex()}, until {identity.expires_at:%Y-%m-%d}")
    return Exit.DONE
