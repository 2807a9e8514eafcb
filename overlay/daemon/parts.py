"""The world around a node: network, disk, cache, clock and random source.

In: nothing. Out: makers of these for one node. Counterpart: `node.py` builds on them. A simulation
passes its own makers. The defaults are the real ones.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from overlay.cache.generations import Generations
from overlay.cache.projection import Projection
from overlay.config.config import Config
from overlay.control.server import ControlServer
from overlay.control.service import ControlService
from overlay.identity.identity import Identity
from overlay.kamailio.watcher import KamailioWatcher
from overlay.links.network import Network
from overlay.links.peer_protocol import Hello
from overlay.membership.discovery import Discovery
from overlay.observe.metrics import Metrics
from overlay.records.settings import Shown
from overlay.storage.bindings import Bindings
from overlay.storage.bindings_database import BindingsDatabase
from overlay.storage.committer import Committer
from overlay.storage.damage import Damage
from overlay.storage.records_disk import RecordsDisk
from overlay.storage.space import Space, free_bytes_of

NowMs = Callable[[], int]


def now_ms() -> int:
    """Unix time in ms."""
    return time.time_ns() // 1_000_000


def open_storage(config: Config, now: NowMs) -> tuple[Committer, Bindings]:
    """The files in `node.data_dir`, made if need be; raises `StorageError` or `OSError`."""
    directory = Path(config.node.data_dir)
    directory.mkdir(parents=True, exist_ok=True)
    damage = Damage()
    space = Space(free_bytes_of(directory), config.storage.free_bytes_min)
    database = BindingsDatabase(directory, damage)
    try:
        bindings = Bindings(database, now, space)
        return Committer(RecordsDisk(directory, damage), space), bindings
    except BaseException:
        database.close()
        raise


def open_projection(config: Config) -> Projection:
    """The Redis that shows the node's leases to its proxies."""
    return Projection(config.redis_socket, Generations.in_file(config.generations_file))


def show_nobody(config: Config, shown: Shown) -> None:
    """Do nothing: there is no proxy."""


async def none_shed() -> int:
    """0: there is no Kamailio that could refuse requests."""
    return 0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The world of one node."""

    now_ms: NowMs = now_ms
    """The wall clock, Unix time in ms."""
    chance: random.Random = field(default_factory=random.Random)
    network: Callable[[Identity, Hello], Network] = Network
    discovery: Callable[[Config], Discovery] = Discovery
    storage: Callable[[Config, NowMs], tuple[Committer, Bindings]] = open_storage
    projection: Callable[[Config], Projection] = open_projection
    control: Callable[[ControlService, Metrics, Path], ControlServer] = ControlServer
    kamailio: Callable[[Config], KamailioWatcher] | None = None
    """None for a node without a Kamailio. Such a node never counts Kamailio as away."""
    show: Callable[[Config, Shown], None] = show_nobody
    """Called with the settings to show to the proxies."""
    shed: Callable[[], Awaitable[int]] = none_shed
    """Returns the number of requests that the node's Kamailio refused, as it was overloaded."""
