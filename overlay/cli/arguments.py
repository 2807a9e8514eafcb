"""The parts of command lines that verbs share: options, names, times, pages.

In: texts that people type. Out: checked values, or an error that `argparse` reports with the usage.
"""

import argparse
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from overlay.base.errors import ConfigError
from overlay.base.limits import HEADER_CHARS_MAX, PAGE_ROWS_MAX
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.identity import files, operator
from overlay.identity.operator import OperatorKey
from overlay.records.names import address_of_record

CONFIG_VARIABLE: Final = "SIPFARM_CONFIG"
OPERATOR_KEY_VARIABLE: Final = "SIPFARM_OPERATOR_KEY"
TIMEOUT_DEFAULT_S: Final = 5.0
TIMEOUT_S_MAX: Final = 30.0
LIMIT_DEFAULT: Final = 100

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples."""


def defaults() -> dict[str, object]:
    """The values of the common options that the command line does not give."""
    path = os.environ.get(CONFIG_VARIABLE) or configuration.PATH_DEFAULT
    return {
        "config": Path(path),
        "config_given": CONFIG_VARIABLE in os.environ,
        "socket": None,
        "json": False,
        "timeout": TIMEOUT_DEFAULT_S,
    }


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that may stand before or after the verb.

    None of them has a default here: the default of one after the verb would hide a value before it.
    """
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--config",
        type=Path,
        metavar="PATH",
        action=_ConfigPath,
        default=argparse.SUPPRESS,
        help=f"farm.toml (default: ${CONFIG_VARIABLE}, else {configuration.PATH_DEFAULT})",
    )
    group.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="the daemon's control socket (default: control.sock in node.run_dir)",
    )
    group.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for programs"
    )
    group.add_argument(
        "--timeout",
        type=timeout,
        metavar="SECONDS",
        default=argparse.SUPPRESS,
        help=f"how long the daemon may take for an answer (default: {TIMEOUT_DEFAULT_S:g})",
    )


def add_verb(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    """Add a verb with the common options."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description=f"{text[:1].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=Help,
    )
    add_common(parser)
    return parser


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the options of lists."""
    parser.add_argument(
        "--limit",
        type=limit,
        default=LIMIT_DEFAULT,
        metavar="N",
        help=f"how many to print at the most (default: {LIMIT_DEFAULT})",
    )
    parser.add_argument(
        "--cursor", default="", metavar="CURSOR", help="go on where an earlier list ended"
    )
    parser.add_argument(
        "--all", action="store_true", help="print all; with --json, an object for each page"
    )


def load_config(args: argparse.Namespace) -> Config:
    """The configuration that the command line names. Raises `ConfigError`."""
    path: Path = args.config
    return configuration.load(path)


def known_config(args: argparse.Namespace) -> Config | None:
    """The configuration; None if the command line names only the socket and there is no file at the
    default path."""
    if args.socket is not None and not args.config_given and not args.config.exists():
        return None
    return load_config(args)


def add_operator_key(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the operator's key."""
    parser.add_argument(
        "--operator-key",
        type=Path,
        metavar="PATH",
        help=f"signs the change (default: ${OPERATOR_KEY_VARIABLE}, else {files.OPERATOR_KEY} in "
        "node.identity_dir)",
    )


def operator_key(args: argparse.Namespace, config: Config | None) -> OperatorKey:
    """The operator's key. Raises a `SipfarmError` that says where it was looked for."""
    given = args.operator_key or os.environ.get(OPERATOR_KEY_VARIABLE)
    if not given and config is None:
        raise ConfigError("the operator's key signs this: give --operator-key PATH")
    directory = Path(config.node.identity_dir) if config else Path()
    path = Path(given) if given else directory / files.OPERATOR_KEY
    if not path.exists():
        raise ConfigError(
            f"{path}: is missing; the operator's key, made by 'sipfarm ca init', signs this: "
            f"run it where that key is, or give --operator-key or ${OPERATOR_KEY_VARIABLE}"
        )
    return operator.load_key(path)


def aor_of(text: str, config: Config | None) -> str:
    """The address-of-record that a person means by `alice`, `alice@farm` or `sip:alice@farm`.

    Raises `ConfigError` if the text is not an address-of-record, or is one of another domain than
    the farm's.
    """
    scheme, colon, rest = text.partition(":")
    name = rest if colon and scheme.lower() in ("sip", "sips") else text
    user, at, domain = name.rpartition("@")
    if not at:
        user = domain
        domain = config.farm.name if config else ""
    if not user or not domain or len(name) > HEADER_CHARS_MAX or re.search(r"[\s;?<>:]", domain):
        raise ConfigError(f"{text!r} is not an address-of-record: user@domain")
    aor = address_of_record(user, domain)
    if config and not aor.endswith(f"@{config.farm.name}"):
        raise ConfigError(f"{aor} is not of the farm {config.farm.name}")
    return aor


def timeout(text: str) -> float:
    """A timeout in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= TIMEOUT_S_MAX:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {TIMEOUT_S_MAX:g}")
    return value


def period(text: str) -> timedelta:
    """A length of time: `30m`, `1h`, `2d`."""
    match = _AGO.fullmatch(text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time like 30m, 1h or 2d")
    return timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])


def limit(text: str) -> int:
    """How many rows a list may have."""
    if not text.isdecimal() or not 0 < int(text) <= PAGE_ROWS_MAX:
        raise argparse.ArgumentTypeError(f"must be from 1 to {PAGE_ROWS_MAX}")
    return int(text)


def add_span(parser: argparse.ArgumentParser, since: str = "") -> None:
    """Add the options that limit a list in time. `since` is the default for its begin."""
    begin = moment_us(since) if since else 0
    for options, default, text in (
        (("--since", "--from"), begin, "calls from this time on"),
        (("--until", "--to"), 0, "calls before it"),
    ):
        parser.add_argument(
            *options,
            type=moment_us,
            default=default,
            metavar="TIME",
            help=f"{text}: 2026-01-31T12:00:00Z, or 2h ago",
        )


def moment_us(text: str) -> int:
    """A point in time as Unix time in us. The text is ISO 8601 (UTC unless it says otherwise), or
    an age like `2h`."""
    now = datetime.now(UTC)
    if ago := _AGO.fullmatch(text):
        return int((now.timestamp() - int(ago[1]) * _UNITS_S[ago[2]]) * 1e6)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time like 2026-01-31T12:00:00Z nor an age like 2h"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1e6)


class _ConfigPath(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.config = values
        namespace.config_given = True
