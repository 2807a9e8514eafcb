"""The nodes that Prometheus asks for figures: all members of the last week, dead members among
them.

In: the members as this node sees them, and the targets that it knew before. Out: targets in the
form that Prometheus' `http_sd_configs` reads. Counterparts: `overlay.observe.metrics_http` serves
the targets as `/sd`; each node states the address at which Prometheus can ask it
(`Traits.metrics`).

A dead node has to stay a target, with the labels that it had: that is how `up == 0` comes about. A
node that restarts has forgotten what a dead member once said of itself, so this module keeps it in
a file.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final

import msgspec

from overlay.base import decoding
from overlay.base.addresses import endpoint
from overlay.base.limits import MEMBERS_MAX
from overlay.config.config import Config
from overlay.links.member_claims import State
from overlay.membership.member import LIVING, Member
from overlay.records.node_info import NodeInfo, Traits

KEPT_S: Final = 7 * 86_400.0
"""How long a node stays a target after it was last alive."""
WRITE_EVERY_S: Final = 3_600.0
"""The greatest age of the times in the file."""

_log = logging.getLogger(__name__)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A node that Prometheus asks for its figures."""

    node_id: bytes
    name: str
    endpoint: str
    """`address:port`, or `[IPv6 address]:port`."""
    zone: str = ""
    version: str = ""
    """The version that runs there or ran there; empty for a node too old to state its version."""
    state: str = State.DEAD.value
    """`alive`, `draining` or `dead`."""
    seen_s: float = 0.0
    """When the node was last alive, Unix time in s."""


Roll = dict[str, Target]
"""Targets by the name of the node."""

_decode = decoding.json(list[Target])


def told_by(config: Config) -> str:
    """The address at which this node says that Prometheus can ask it; empty if the metrics port is
    open to its own host alone."""
    own = config.metrics
    if ipaddress.ip_address(own.address).is_loopback:
        return ""
    return endpoint(own.address, own.port)


def roll_call(
    own: Target,
    members: Iterable[Member],
    before: Mapping[str, Target],
    revoked: Set[bytes],
    port: int,
    now_s: float,
    in_state_s: Callable[[Member], float],
) -> Roll:
    """The targets as they are now, which are also the targets to remember for the next call.

    `port` is the port assumed for a node of an older version, which does not state its own.
    `in_state_s` tells for how many seconds a member has been in its present state.
    """
    found, gone = [own], {own.name}
    # Living members come first: a living node replaces a dead one of the same name.
    for member in sorted(members, key=lambda member: member.state in LIVING, reverse=True):
        name = member.info.name
        if name in gone or member.info.node_id in revoked:
            continue
        if member.state in LIVING:
            gone.add(name)
            found += _targets(member.info, port, _living_state(member.info), now_s)
        elif member.state is State.LEFT:
            gone.add(name)
        elif name not in before and member.incarnation:
            seen_s = now_s - in_state_s(member)
            found += _targets(member.info, port, State.DEAD.value, seen_s)
    remembered = (each for name, each in before.items() if name not in gone)
    found += (msgspec.structs.replace(each, state=State.DEAD.value) for each in remembered)
    roll: Roll = {}
    taken: set[str] = set()
    for each in found:
        is_over = each.node_id in revoked or now_s - each.seen_s > KEPT_S
        if not is_over and each.endpoint not in taken and len(roll) <= MEMBERS_MAX:
            taken.add(each.endpoint)
            roll.setdefault(each.name, each)
    return roll


def shown(targets: Iterable[Target], farm: str) -> list[dict[str, Any]]:
    """The targets as Prometheus reads them (its documentation, "HTTP SD").

    State and version may change while a node lives, so they are `__meta_` labels, which a series
    has only if the operator's configuration copies them. As ordinary labels they would begin all
    series of the node anew at each upgrade and each death.
    """
    return [
        {
            "targets": [target.endpoint],
            "labels": {
                "farm": farm,
                "node": target.name,
                "zone": target.zone,
                "__meta_sipfarm_state": target.state,
                "__meta_sipfarm_version": target.version,
            },
        }
        for target in sorted(targets, key=lambda target: target.name)
    ]


class ScrapeTargets:
    """The targets that one node answers with, and its memory of them."""

    def __init__(
        self,
        config: Config,
        own: Callable[[], NodeInfo],
        members: Callable[[], Iterable[Member]],
        revoked: Callable[[], Set[bytes]],
        now_s: Callable[[], float],
        in_state_s: Callable[[Member], float],
    ) -> None:
        """`now_s` returns Unix time in s; `in_state_s` is as for `roll_call`."""
        self._farm = config.farm.name
        self._port = config.metrics.port
        self._endpoint = endpoint(config.metrics.address, config.metrics.port)
        self._path = Path(config.node.data_dir) / "scrape-targets.json"
        self._own, self._members, self._revoked = own, members, revoked
        self._now_s, self._in_state_s = now_s, in_state_s
        self._known: Roll | None = None
        self._written_s = 0.0

    async def asked(self) -> list[dict[str, Any]]:
        """All targets as they are now. They are written to the file if they changed, or if the
        times in the file are too old."""
        now_s = self._now_s()
        if self._known is None:
            read = await asyncio.to_thread(_read, self._path)
            self._known = self._known or {target.name: target for target in read}
        before = self._known
        self._known = roll_call(
            self._of_itself(now_s),
            self._members(),
            before,
            self._revoked(),
            self._port,
            now_s,
            self._in_state_s,
        )
        is_old = now_s - self._written_s > WRITE_EVERY_S
        if is_old or _timeless(before) != _timeless(self._known):
            self._written_s = now_s
            await asyncio.to_thread(_write, self._path, list(self._known.values()))
        return shown(self._known.values(), self._farm)

    def _of_itself(self, now_s: float) -> Target:
        own = self._own()
        traits = own.traits or Traits()
        return Target(
            node_id=own.node_id,
            name=own.name,
            endpoint=self._endpoint,
            zone=traits.zone,
            version=traits.software,
            state=_living_state(own),
            seen_s=now_s,
        )


def _targets(info: NodeInfo, port: int, state: str, seen_s: float) -> list[Target]:
    """The targets of a member: one, or none if the member's figures are open to its own host
    alone."""
    said = info.traits or Traits()
    where = said.metrics if said.software else endpoint(info.host, port)
    if not where:
        return []
    return [
        Target(
            node_id=info.node_id,
            name=info.name,
            endpoint=where,
            zone=said.zone,
            version=said.software,
            state=state,
            seen_s=seen_s,
        )
    ]


def _living_state(info: NodeInfo) -> str:
    return "draining" if info.draining else State.ALIVE.value


def _timeless(roll: Roll) -> Sequence[Target]:
    return [msgspec.structs.replace(target, seen_s=0.0) for target in roll.values()]


def _read(path: Path) -> list[Target]:
    """The remembered targets; none if the file cannot be read."""
    try:
        found: list[Target] = _decode(path.read_bytes())
        return found
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("%s: %s", path, error)
        return []


def _write(path: Path, targets: list[Target]) -> None:
    fresh = path.with_suffix(".new")
    try:
        fresh.write_bytes(msgspec.json.encode(targets))
        fresh.replace(path)
    except OSError as error:
        _log.warning("%s: %s", path, error)
