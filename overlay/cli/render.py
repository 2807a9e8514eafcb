"""`sipfarm render`: writes the files that Kamailio, Redis and PowerDNS of a node read.

In: farm.toml and the farm's secret. Out, in a directory: kamailio.cfg, kamailio.env, tls.cfg,
redis.conf, pdns.conf, and hosts and resolv.conf for Kamailio. Counterparts: the templates in
proxy/, overlay/cache/ and overlay/dns/, each beside the code that it belongs to.

A certificate that phones would not accept keeps Kamailio from serving TLS, but not from starting:
the command says so, and Kamailio serves its other transports.
"""

import argparse
from pathlib import Path
from typing import Final

import jinja2

import overlay
from overlay.base.errors import ConfigError
from overlay.cli import arguments, output
from overlay.cli.exits import Exit
from overlay.config.config import Config
from overlay.dns import local_names
from overlay.identity import files, sip_certificate
from overlay.kamailio import rpc
from proxy.render import command_line_values, render_tls
from proxy.render import render as render_kamailio

_TEMPLATES: Final = {
    "redis.conf": "cache/redis.conf.j2",
    "pdns.conf": "dns/pdns.conf.j2",
}
_NAMES: Final = {"hosts": local_names.hosts, "resolv.conf": local_names.resolv_conf}
_KAMAILIO_ENVIRONMENT: Final = "kamailio.env"
"""The part of Kamailio's configuration that its command line needs. The unit sipfarm-kamailio reads
it."""
_KAMAILIO_FILE: Final = "kamailio.cfg"
_TLS_FILE: Final = "tls.cfg"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = arguments.add_verb(
        subparsers,
        "render",
        "write what Kamailio, Redis and PowerDNS of this node read",
        "example:\n  sipfarm render --out /etc/sipfarm/rendered\n"
        "kamailio.cfg holds keys and is readable by its owner alone.\n"
        "After a certificate of SIP over TLS was renewed: sipfarm render --out DIR --reload-tls",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--reload-tls",
        action="store_true",
        help="have the running Kamailio show new connections the certificate that is there now",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and print their names."""
    config = arguments.load_config(args)
    written = [str(path) for path in write_files(config, args.out)]
    if problem := sip_certificate.problem(config):
        output.note(f"SIP over TLS is not served: {problem}")
    if args.reload_tls:
        rpc.ask(config.kamailio_socket, "tls.reload")
    if args.json:
        output.show_json({"written": written})
    else:
        output.show("\n".join(written))
    return Exit.DONE


def write_files(config: Config, into: Path) -> list[Path]:
    """Write the files and return their paths. Raises `SipfarmError` if one cannot be written."""
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{into}: {error.strerror}") from error
    for name, template in _TEMPLATES.items():
        files.write_public(into / name, _render(template, config).encode())
    secret = files.read_farm_secret(Path(config.node.identity_dir))
    tls_file = into.absolute() / _TLS_FILE
    wanted = config.proxy.tls_port or config.proxy.wss_port
    served = wanted and not sip_certificate.problem(config)
    text = render_kamailio(config, secret, tls_file if served else None)
    files.write_secret(into / _KAMAILIO_FILE, text.encode())
    environment = "".join(
        f"{name}={value}\n" for name, value in command_line_values(config).items()
    )
    files.write_public(into / _KAMAILIO_ENVIRONMENT, environment.encode())
    if served:
        files.write_public(tls_file, render_tls(config).encode())
    for name, text_of in _NAMES.items():
        files.write_public(into / name, text_of(config, _machines(name)).encode())
    names = (
        *_TEMPLATES,
        *_NAMES,
        _KAMAILIO_ENVIRONMENT,
        _KAMAILIO_FILE,
        *((_TLS_FILE,) if served else ()),
    )
    return sorted(into / name for name in names)


def _machines(name: str) -> str:
    """The machine's own file in /etc; empty if it has none."""
    try:
        return Path("/etc", name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _render(template: str, config: Config) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(overlay.__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(template).render(config=config)
