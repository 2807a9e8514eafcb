"""The overlay daemon's process: configuration, logging, signals.

In: `--config`, and signals. Out: a running `Node`, or exit code 2 and a message that says what to
mend.
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

import uvloop
from prometheus_client import disable_created_metrics

from overlay.base import service_manager
from overlay.base.errors import SipfarmError
from overlay.cache import shown_settings
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.daemon.node import Node
from overlay.daemon.parts import Parts
from overlay.identity import identity as identities
from overlay.kamailio.figures import KamailioFigures
from overlay.kamailio.watcher import KamailioWatcher
from overlay.membership.scrape_targets import ScrapeTargets
from overlay.observe.heartbeat import Heartbeat
from overlay.observe.metrics_http import Hooks, MetricsServer
from overlay.records.settings import Shown

log = logging.getLogger("sipfarm")

EXIT_CONFIG = 2
EXIT_START = 1


async def run(config: Config) -> None:
    """Run the node until SIGTERM, SIGINT or an operator's leave."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    identity = identities.load(config)
    figures = KamailioFigures(config.kamailio_socket, time.monotonic)
    parts = Parts(kamailio=KamailioWatcher, show=show_proxies, shed=figures.shed)
    node = Node(config, identity, parts)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stopped.set)
    await node.start()
    node.metrics.registry.register(figures)
    heartbeat = Heartbeat(
        node.committer.round_trip, lambda: service_manager.notify(service_manager.ALIVE)
    )
    targets = ScrapeTargets(
        config,
        lambda: node.membership.own,
        lambda: node.membership.members,
        lambda: frozenset(node.operator.revoker.current.node_ids),
        time.time,
        lambda member: loop.time() - member.since_s,
    )
    hooks = Hooks(
        live=heartbeat.check,
        ready=node.control.readiness.check,
        targets=targets.asked,
        refresh=(figures.refresh,),
    )
    pages = MetricsServer(node.metrics.registry, hooks)
    try:
        heartbeat.start()
        await pages.start(config.metrics.address, config.metrics.port)
        service_manager.notify(service_manager.READY)
        await node.stopped.wait()
    finally:
        log.info("stopping")
        service_manager.notify(service_manager.STOPPING)
        await pages.stop()
        await heartbeat.stop()
        await node.stop()


def show_proxies(config: Config, shown: Shown) -> None:
    """Write the farm's settings to the file where this node's proxies look for them."""
    shown_settings.write(config.settings_file, shown)


def command_line() -> argparse.ArgumentParser:
    """The options of `sipfarm-overlay`."""
    parser = argparse.ArgumentParser(
        prog="sipfarm-overlay",
        description="Run a node's part in the farm's overlay.\n\nIt holds registrations and "
        "billing records for the farm, shares them with the other nodes, and tells this node's "
        "Kamailio, Redis and PowerDNS what they need. SIGTERM ends it.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=configuration.PATH_DEFAULT,
        metavar="PATH",
        help="farm.toml (default: %(default)s)",
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning"),
        help="the least that is logged (default: %(default)s)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command `sipfarm-overlay`."""
    options = command_line().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("kademlia", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        config = configuration.load(options.config)
        uvloop.run(run(config))
    except SipfarmError as error:
        log.error("%s", error)
        return EXIT_CONFIG
    except OSError as error:
        log.error("cannot start: %s", error)
        return EXIT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
