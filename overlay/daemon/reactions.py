"""How a node reacts when the farm around it changes: which parts are told, and in which order.

In: peers that come and go, members that change, a Kamailio that goes or comes back. Out: calls of
the parts. Counterparts: `overlay.links.network`, `overlay.membership.membership` and
`overlay.kamailio.watcher` report the changes.
"""

from collections.abc import Callable

import msgspec

from overlay.daemon.base_parts import BaseParts
from overlay.daemon.control_parts import ControlParts
from overlay.daemon.dns_parts import DnsParts
from overlay.daemon.operator_parts import OperatorParts
from overlay.daemon.peer_requests import PeerRequests
from overlay.daemon.record_parts import RecordParts
from overlay.kamailio.watcher import KamailioWatcher
from overlay.links.peer_protocol import Hello, PeerReply, PeerRequest
from overlay.membership.members import Member, State
from overlay.membership.membership import Membership
from overlay.observe.figures import total
from overlay.observe.part import Part
from overlay.records.node_info import Traits


class Links(Part):
    """The network: it listens, and tells the other parts what happens to links and members."""

    FIGURES = (
        total(
            "sipfarm_revoked_connections_refused_total",
            "Connections of revoked nodes that were refused",
            lambda links: links.network.revoked_refused,
        ),
    )

    def __init__(
        self,
        base: BaseParts,
        records: RecordParts,
        operator: OperatorParts,
        dns: DnsParts,
        control: ControlParts,
        requests: PeerRequests,
        leaving: Callable[[], bool],
    ) -> None:
        """`leaving` returns whether a node that stops leaves for good."""
        self.network = base.network
        self._own = base.own
        self._membership = base.membership
        self._hot = records.hot
        self._events = records.events
        self._claims = records.claims
        self._replicas_changed = records.replicas_changed
        self._operator = operator
        self._zone_changed = dns.changed
        self._lease = control.lease
        self._requests = requests
        self._leaving = leaving

    async def start(self) -> None:
        """Listen; raises `OSError` if the address cannot be had."""
        self._membership.listen(self._member_changed)
        self._membership.listen_to_proxies(self._zone_changed)
        self._membership.compare_as_well(self._operator.compare)
        await self.network.start(self, self._own.host, self._own.port)

    async def stop(self) -> None:
        """Close every link, and tell the peers whether this node leaves for good."""
        await self.network.stop(left=self._leaving())

    # What the links report (`overlay.links.network.Handler`).

    def peer_up(self, hello: Hello) -> None:
        node_id = hello.node.node_id
        self._hot.end_leases_of(node_id)
        self._membership.peer_up(hello)
        self._operator.compare(node_id)
        self._claims.peer_up(node_id)
        self._lease.peer_up(hello)

    def peer_down(self, node_id: bytes, reason: str, left: bool) -> None:
        self._hot.end_leases_of(node_id)
        self._membership.peer_down(node_id, reason, left)

    def request_received(
        self, sender: Hello, request: PeerRequest, reply: Callable[[PeerReply], None]
    ) -> None:
        self._requests.answer(sender.node.node_id, request, reply)

    # inner workings

    def _member_changed(self, member: Member) -> None:
        self._replicas_changed()
        self._lease.member_changed(member)
        self._operator.member_changed()
        if member.state is State.ALIVE:
            self._events.farm_changed()


class ProxyWatch(Part):
    """Tells the farm when this node's Kamailio has gone or come back.

    Only DNS, and so the phones, follow that. Records stay where they are.
    """

    def __init__(
        self, kamailio: KamailioWatcher, membership: Membership, zone_changed: Callable[[], None]
    ) -> None:
        self._kamailio = kamailio
        self._membership = membership
        self._zone_changed = zone_changed

    async def start(self) -> None:
        """Go on watching. If Kamailio has gone or come back since the node's start, tell the farm
        at once."""
        self._kamailio.go_on(self._turned)
        if bool(self._kamailio.away) != self._membership.own.proxy_away:
            self._turned()

    async def stop(self) -> None:
        """Stop watching."""
        await self._kamailio.stop()

    def _turned(self) -> None:
        traits = self._membership.own.traits or Traits()
        away = bool(self._kamailio.away)
        self._membership.announce(msgspec.structs.replace(traits, proxy_away=away))
        self._zone_changed()


class Settled(Part):
    """Delays the parts after it until this node knows its farm and its Redis."""

    def __init__(self, records: RecordParts, membership: Membership) -> None:
        self._projection = records.projection
        self._membership = membership

    async def start(self) -> None:
        """Wait until Redis shows nothing of an earlier run, and the node has looked for the
        farm."""
        await self._projection.tried()
        await self._membership.settled()
