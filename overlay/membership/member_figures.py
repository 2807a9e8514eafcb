"""What a node shows to Prometheus of the other nodes.

In: the membership of a node. Out: figures. Counterpart: `membership.py` shows them.
"""

from collections.abc import Iterable
from typing import Final

from overlay.base.limits import MEMBERS_MAX
from overlay.links.member_claims import State
from overlay.membership.member import LIVING, Member
from overlay.observe.figures import Figure, Figures, gauge, total
from overlay.observe.metric_families import Family, Kind, Label


def out_of_service(members: Iterable[Member]) -> list[str]:
    """Names of the nodes that are drained, or were drained when they died.

    A node that serves under the name of such a node has taken its place.
    """
    known = [member for member in members if member.state is not State.LEFT]
    drained = {member.info.name for member in known if member.info.draining}
    serving = {
        member.info.name for member in known if member.state in LIVING and not member.info.draining
    }
    return sorted(drained - serving)


FIGURES: Final[Figures] = (
    gauge(
        "sipfarm_links",
        "Nodes with a link",
        lambda membership: len(membership.members.linked()),
    ),
    gauge(
        "sipfarm_health_score",
        "How far this node doubts its own probes; 0 is well",
        lambda membership: membership.health.score,
    ),
    total(
        "sipfarm_lookups_total",
        "Lookups of a record's replicas that had to ask other nodes",
        lambda membership: membership.lookups,
    ),
    total(
        "sipfarm_lookup_hops_total",
        "Steps that these lookups took",
        lambda membership: membership.lookup_hops,
    ),
    Figure(
        family=Family(
            name="sipfarm_members",
            kind=Kind.GAUGE,
            text="Other nodes, by how this node sees them",
            labels=(
                Label(
                    name="state",
                    text="how the node is",
                    values=tuple(state.value for state in State),
                ),
            ),
        ),
        read=lambda membership: membership.counts(),
    ),
    Figure(
        family=Family(
            name="sipfarm_member_draining",
            kind=Kind.GAUGE,
            text="1 for each other node that is being taken out of service, or was when it stopped",
            labels=(Label(name="member", text="the other node's name", values_max=MEMBERS_MAX),),
        ),
        read=lambda membership: (((name,), 1.0) for name in out_of_service(membership.members)),
    ),
)
