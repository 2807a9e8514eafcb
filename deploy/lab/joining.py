"""Lets a further node join the lab as a node joins a real farm: with a token, and nothing else.

In: the lab that is up, a node's name. Out: the running node. Counterparts: `sipfarm ca serve`,
which runs on this machine while the node joins; `sipfarm node join`, which runs on the node.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from deploy.lab import building, layout, network, processes, services
from deploy.lab.layout import Host, LabError, LabState
from overlay.base.limits import ENROLLMENT_PORT_DEFAULT
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.enrollment import token_book
from overlay.enrollment.token import Token, format_token
from overlay.identity import files

_CLI: Final = (sys.executable, "-m", "overlay.cli.main")
_SERVING_WITHIN_S: Final = 10.0
_JOINED_WITHIN_S: Final = 30.0


@contextmanager
def enrollment_service(authority: Path) -> Iterator[None]:
    """Run `sipfarm ca serve` on this machine, where every host of the lab can reach it."""
    address = authority / files.SERVICE_ADDRESS
    address.unlink(missing_ok=True)
    listen = f"{layout.GATEWAY}:{ENROLLMENT_PORT_DEFAULT}"
    with subprocess.Popen(
        [*_CLI, "ca", "serve", "--ca", str(authority), "--listen", listen],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until_s = time.monotonic() + _SERVING_WITHIN_S
            while not address.exists():
                if process.poll() is not None or time.monotonic() > until_s:
                    raise LabError(f"the enrollment service does not listen at {listen}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def token(authority: Path, node: str) -> Token:
    """Make a token for a node of this name."""
    service = (layout.GATEWAY, ENROLLMENT_PORT_DEFAULT)
    return token_book.make(authority, service, node, timedelta(minutes=5), datetime.now(UTC))


def make_host(node: Host, farm: str) -> None:
    """Make the node's namespace and its empty directories, as on a machine just installed."""
    for directory in (node.etc, node.run, node.data):
        directory.mkdir(parents=True, exist_ok=True)
    building.build_host(node, farm)


def join(state: LabState, node: Host, given: Token) -> Config:
    """Enroll the node, write its services' files and start them; returns its configuration. The
    node gets the token and the lab's paths, and nothing else."""
    places = ("--data-dir", str(node.data), "--run-dir", str(node.run))
    command = [*_CLI, "--config", str(node.config), "node", "join", *places]
    done = subprocess.run(
        processes.in_namespace(node, command),
        env={**os.environ, "SIPFARM_TOKEN": format_token(given)},
        capture_output=True,
        text=True,
        timeout=_JOINED_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{node.name} cannot join: {done.stderr.strip()}")
    config = configuration.load(node.config)
    # No token brings these settings, as the operator adds them by hand: certificates for phones,
    # further addresses.
    edge = msgspec.structs.replace(config.proxy, **building.edge_settings(node))
    own = msgspec.structs.replace(config.node, address6=node.address6)
    metrics = msgspec.structs.replace(config.metrics, address=node.address)
    config = msgspec.structs.replace(config, proxy=edge, node=own, metrics=metrics)
    node.config.write_text(configuration.dump(config), encoding="utf-8")
    services.render_node(node, config, building.AUTHORITY_DIR)
    for service in state.services:
        processes.start(node, service, services.command_of(service, node, config))
    return config


def check_new(state: LabState, node: Host) -> None:
    """Raise `LabError` unless the host is a node that the lab does not have yet."""
    there = network.hosts_with_interface()
    if not node.is_node or node.name in state.nodes or node.name in there:
        raise LabError(f"{node.name} is no new node; there are {' '.join(state.nodes)}")
