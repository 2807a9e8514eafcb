"""Whether a node may drain or be stopped: pure functions of the status of all nodes.

In: the status of every node, as `FarmWide.status` joins them. Out: the reasons against it, none if
it may be done. Counterpart: `maintenance.py` asks the nodes, and carries it out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from overlay.links.member_claims import State
from overlay.membership.member import LIVING
from overlay.records.node_status import NodeStatus

NodeStatuses = Sequence[NodeStatus]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A reason against draining or stopping a node."""

    text: str
    passing: bool = False
    """Whether the reason may be over in a moment, without any action."""


def present(nodes: NodeStatuses, revoked: Collection[bytes]) -> tuple[NodeStatus, ...]:
    """The nodes that count.

    Revoked nodes do not count, nor does an id that a name had before, if a living node now has that
    name.
    """
    out = {node_id.hex() for node_id in revoked}
    living = {node.name for node in nodes if _lives(node)}
    return tuple(
        node for node in nodes if node.id not in out and (_lives(node) or node.name not in living)
    )


def against_draining(nodes: NodeStatuses, own: str, write_quorum: int) -> tuple[Reason, ...]:
    """The reasons against draining node `own`."""
    others = [node for node in nodes if node.name != own]
    staying = sum(node.state == State.ALIVE and not node.draining for node in others)
    reasons = _troubles(nodes, own)
    if staying < write_quorum:
        text = f"{staying} other nodes would stay, and a write needs {write_quorum}"
        reasons.append(Reason(text=f"{text} (overlay.write_quorum): add a node first"))
    return tuple(reasons)


def against_stopping(nodes: NodeStatuses, name: str, write_quorum: int) -> tuple[Reason, ...]:
    """The reasons against stopping node `name`, one of `nodes`, now.

    They do not tell whether other nodes hold its records. Draining finds that out.
    """
    node = next(each for each in nodes if each.name == name)
    others = [each for each in nodes if each.name != name]
    reasons = _troubles(nodes, name)
    serving = sum(_serves(each) for each in others)
    if not serving:
        reasons.append(Reason(text=f"{name} is the last node in service"))
    elif serving < write_quorum:
        text = f"{serving} other nodes in service would stay, and a write needs {write_quorum}"
        reasons.append(Reason(text=f"{text} (overlay.write_quorum)"))
    if _lives(node) and not node.version:
        text = f"{name} does not answer: whether call events are on its disk alone is not known"
        reasons.append(Reason(text=text, passing=True))
    for each in (node, *others):
        if each.journal_depth:
            text = f"{each.journal_depth} call events of {each.name} are on too few disks"
            reasons.append(Reason(text=text, passing=True))
    return tuple(reasons)


def seconds(age_s: float) -> str:
    """` for` so long, as text; empty if the time is not known."""
    if age_s <= 0:
        return ""
    if age_s < 120:
        return f" for {age_s:.0f} s"
    return f" for {age_s / 60:.0f} min" if age_s < 7200 else f" for {age_s / 3600:.0f} h"


def _lives(node: NodeStatus) -> bool:
    return node.state in LIVING


def _serves(node: NodeStatus) -> bool:
    return node.state == State.ALIVE and node.ready and not node.draining


def _troubles(nodes: NodeStatuses, but: str) -> list[Reason]:
    """The troubles and maintenance of all nodes except `but`: at most one reason for each."""
    leases: dict[str, float] = {}
    for node in nodes:
        if node.lease:
            leases[node.lease] = max(node.lease_s, leases.get(node.lease, 0.0))
    found = (_trouble(node, leases.get(node.name)) for node in nodes if node.name != but)
    return [reason for reason in found if reason is not None]


def _trouble(node: NodeStatus, lease_s: float | None) -> Reason | None:
    """The trouble with a node, if any. `lease_s`: for how long it has had the lease; None without
    it."""
    if node.state == State.LEFT:
        return None
    if node.state == State.DEAD:
        but = " (if for good: 'sipfarm ca revoke', then 'sipfarm node revoke')"
        lease = ", and has the maintenance lease" if lease_s is not None else ""
        return Reason(text=f"{node.name} is dead{seconds(node.since_s)}{lease}{but}")
    if node.state == State.SUSPECT or not node.version:
        suspected_s = node.since_s if node.state == State.SUSPECT else 0.0
        return Reason(text=f"{node.name} does not answer{seconds(suspected_s)}", passing=True)
    if node.draining:
        return Reason(text=f"{node.name} drains{seconds(lease_s or 0.0)}")
    if lease_s is not None:
        yet = "" if node.ready else ", and is not ready yet"
        text = f"{node.name} has the maintenance lease{seconds(lease_s)}{yet}"
        return Reason(text=text, passing=True)
    if not node.ready:
        return Reason(text=f"{node.name} is not ready", passing=True)
    return None
