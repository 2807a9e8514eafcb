"""`sipfarm render`: what Kamailio, Redis and PowerDNS of a node read.

In: farm.toml and the farm's secret. Out: kamailio.cfg, redis.conf and pdns.conf in a directory.
Counterparts: the templates beside the code that each serves, in proxy/, overlay/cache/ and
overlay/dns/.
"""

import argparse
from pathlib import Path
from typing import Final

import jinja2

import overlay
from overlay.cli import arguments, output
from overlay.cli.exits import Exit
from overlay.config import Config
from overlay.errors import ConfigError
from overlay.identity import files
from proxy.render import render as render_kamailio

_TEMPLATES: Final = {
    "redis.conf": "cache/redis.conf.j2",
    "pdns.conf": "dns/pdns.conf.j2",
}
_KAMAILIO_FILE: Final = "kamailio.cfg"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = arguments.add_verb(
        subparsers,
        "render",
        "write kamailio.cfg, redis.conf and pdns.conf of this node",
        "example:\n  sipfarm render --out /etc/sipfarm/rendered\n"
        "kamailio.cfg holds keys and is readable by its owner alone.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and name them."""
    written = [str(path) for path in write_files(arguments.load_config(args), args.out)]
    if args.json:
        output.show_json({"written": written})
    else:
        output.show("\n".join(written))
    return Exit.DONE


def write_files(config: Config, into: Path) -> list[Path]:
    """Write the three files and return their paths; raises `SipfarmError` if one cannot be."""
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{into}: {error.strerror}") from error
    for name, template in _TEMPLATES.items():
        files.write_public(into / name, _render(template, config).encode())
    secret = files.read_farm_secret(Path(config.node.identity_dir))
    files.write_secret(into / _KAMAILIO_FILE, render_kamailio(config, secret).encode())
    return sorted(into / name for name in (*_TEMPLATES, _KAMAILIO_FILE))


def _render(template: str, config: Config) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(overlay.__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(template).render(config=config)
