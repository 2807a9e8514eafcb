"""Which nodes a Prometheus is to ask: all members of the last week, the dead among them.

In: the members as this node sees them, and what it knew of them before. Out: targets, as
Prometheus' `http_sd_configs` reads them. Counterparts: `overlay.observe.metrics_http` serves them
as `/sd`; each node says of itself where it is to be asked (`Traits.metrics`).

A dead node has to stay a target, under the labels that it had: that is what makes it `up == 0`. The
others forget what a dead one said of itself when they are restarted, so it is kept in a file.
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
"""How old the times in the file may be."""

_log = logging.getLogger(__name__)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A node that is to be asked for its figures."""

    node_id: bytes
    name: str
    endpoint: str
    """`address:port`, or `[IPv6 address]:port`."""
    zone: str = ""
    version: str = ""
    """The one that runs there, or ran; empty if it is older than those that tell."""
    state: str = State.DEAD.value
    """`alive`, `draining` or `dead`."""
    seen_s: float = 0.0
    """When it was last alive, Unix time."""


Roll = dict[str, Target]
"""Targets by the name of the node."""

_decode = decoding.json(list[Target])


def told_by(config: Config) -> str:
    """Where the node says that a Prometheus may ask it; empty if only its own host can."""
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
    """The targets of now, and what is to be remembered for the next time.

    `port` is where a node of an older version is taken to answer, which does not say. `in_state_s`
    tells for how long a member has been as it is.
    """
    found, gone = [own], {own.name}
    # Whoever has the name of a node that is gone takes its place.
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
    """As Prometheus reads it (its documentation, "HTTP SD").

    What may change while a node lives is told in labels that a series has only if it is asked for:
    else each upgrade, and each death, would begin all series of the node anew.
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
    """What one node tells, and remembers."""

    def __init__(
        self,
        config: Config,
        own: Callable[[], NodeInfo],
        members: Callable[[], Iterable[Member]],
        revoked: Callable[[], Set[bytes]],
        now_s: Callable[[], float],
        in_state_s: Callable[[Member], float],
    ) -> None:
        """`now_s` is Unix time; `in_state_s` as for `roll_call`."""
        self._farm = config.farm.name
        self._port = config.metrics.port
        self._endpoint = endpoint(config.metrics.address, config.metrics.port)
        self._path = Path(config.node.data_dir) / "scrape-targets.json"
        self._own, self._members, self._revoked = own, members, revoked
        self._now_s, self._in_state_s = now_s, in_state_s
        self._known: Roll | None = None
        self._written_s = 0.0

    async def asked(self) -> list[dict[str, Any]]:
        """All targets as they are now; what is remembered of them is written where it changed."""
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
    """A member's; none if only its own host can ask it."""
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
    """What was remembered; nothing if that cannot be read."""
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
