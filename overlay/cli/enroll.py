"""`sipfarm ca token` and `ca serve`: enrollment, on the operator's machine.

In: the command line. Out: a token; a service that runs until it is told to stop. Counterparts:
`overlay.enrollment`; `sipfarm node join` at the other end.
"""

import argparse
import asyncio
import logging
import signal
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from overlay.base import service_manager
from overlay.base.addresses import split_address
from overlay.base.errors import ConfigError
from overlay.base.limits import ENROLLMENT_PORT_DEFAULT
from overlay.cli import arguments, output
from overlay.cli.exits import Exit
from overlay.config import config as configuration
from overlay.enrollment import token_book
from overlay.enrollment.service import EnrollmentService, Settings
from overlay.enrollment.token import format_token
from overlay.identity import files
from overlay.identity.identity import farm_of_ca, load_ca_certificate


def add_token(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ca token`."""
    parser.add_argument(
        "--valid",
        type=arguments.period,
        default=timedelta(hours=1),
        metavar="TIME",
        help="30m, 1h, 2d (default: 1h)",
    )
    parser.add_argument("--name", default="", metavar="NODE", help="the name that it must have")
    parser.add_argument(
        "--service",
        default="",
        metavar="ADDRESS[:PORT]",
        help="where nodes reach 'sipfarm ca serve' (default: where it listened last)",
    )
    parser.set_defaults(run=run_token)


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ca serve`."""
    parser.add_argument(
        "--listen",
        required=True,
        metavar="ADDRESS[:PORT]",
        help=f"default port: {ENROLLMENT_PORT_DEFAULT}",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="TOML",
        help="sections of farm.toml for every node; [farm] and [node] are left out",
    )
    parser.set_defaults(run=run_serve)


def run_token(args: argparse.Namespace) -> int:
    """Make a token and print it."""
    service = args.service or _service_of(args.ca)
    host, port = split_address(service, ENROLLMENT_PORT_DEFAULT)
    made = token_book.make(args.ca, (host, port), args.name, args.valid, datetime.now(UTC))
    text = format_token(made)
    if args.json:
        output.show_json({"token": text, "id": made.token_id, "service": f"{host}:{port}"})
        return Exit.DONE
    output.show(text)
    output.note(f"good for one node, until {datetime.now(UTC) + args.valid:%Y-%m-%dT%H:%M:%SZ}")
    output.note("next, on the node: sipfarm node join --token TOKEN")
    return Exit.DONE


def run_serve(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    farm = farm_of_ca(load_ca_certificate(args.ca / files.CA_CERTIFICATE))
    settings, overlay_port = _settings(args.settings, farm)
    host, port = split_address(args.listen, ENROLLMENT_PORT_DEFAULT)
    logging.basicConfig(
        level="INFO", format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    service = EnrollmentService(args.ca, settings, overlay_port)
    try:
        asyncio.run(_serve(service, args.ca, host, port))
    except OSError as error:
        raise ConfigError(f"{args.listen}: {error.strerror or error}") from error
    return Exit.DONE


async def _serve(service: EnrollmentService, directory: Path, host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    port = await service.start(host, port)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    await asyncio.to_thread(
        files.write_public, directory / files.SERVICE_ADDRESS, f"{where}\n".encode()
    )
    output.note(f"enrolling nodes at {where}")
    service_manager.notify(service_manager.READY)
    try:
        await stopped.wait()
    finally:
        await service.stop()


def _service_of(directory: Path) -> str:
    path = directory / files.SERVICE_ADDRESS
    if not path.exists():
        raise ConfigError("where is the enrollment service? start 'sipfarm ca serve', or --service")
    where = files.read_public(path).decode("ascii", "replace").strip()
    if split_address(where, ENROLLMENT_PORT_DEFAULT)[0] in ("0.0.0.0", "::"):
        raise ConfigError(f"'sipfarm ca serve' listens on {where}: tell nodes where with --service")
    return where


def _settings(path: Path | None, farm: str) -> tuple[Settings, int]:
    """The sections for every node, and the overlay's port in them. Raises `ConfigError`."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    sections = {name: value for name, value in data.items() if name not in ("farm", "node")}
    sections.get("overlay", {}).pop("bootstrap", None)
    whole = {**sections, "farm": {"name": farm}, "node": {"name": "n", "address": "192.0.2.1"}}
    return sections, configuration.parse(whole, str(path)).overlay.port
