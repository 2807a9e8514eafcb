"""What this node alone can answer, to its own CLI and to other nodes.

In: requests for lists and for a description. Out: this node's part of them. Counterpart:
`farm_wide.py` joins the parts of all nodes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from overlay.base.limits import PAGE_ROWS_MAX
from overlay.base.version import VERSION, Installed
from overlay.cache.projection import Projection
from overlay.control.readiness import Readiness
from overlay.links.farm_messages import Described, DescribeNode
from overlay.links.peer_part import Handlers, PeerPart, replies, waits
from overlay.links.record_messages import CallsAt, ListCallsAt, ListSubscribersAt, SubscribersAt
from overlay.membership.membership import Membership
from overlay.observe.figures import gauge
from overlay.records.names import RecordKind, key_of, probe_name
from overlay.records.node_info import NodeInfo
from overlay.records.node_status import NodeStatus
from overlay.replication.events import EventWriter
from overlay.replication.replica import Replica


class Local(PeerPart):
    """This node's own answers."""

    FIGURES = (
        gauge(
            "sipfarm_bindings",
            "Registration records held, one for each address-of-record; "
            "those of readiness probes do not count",
            lambda local: local.count_bindings(),
        ),
    )

    def __init__(
        self,
        own: NodeInfo,
        membership: Membership,
        replica: Replica,
        events: EventWriter,
        projection: Projection,
        readiness: Readiness,
        lease: Callable[[], tuple[str, float]],
        proxy_away: Callable[[], str] | None,
        shed: Callable[[], Awaitable[int]],
    ) -> None:
        """`proxy_away` returns why Kamailio counts as away; it is None where there is no Kamailio.
        `shed` returns how many requests Kamailio refused, as it was overloaded."""
        self._own = own
        self._membership = membership
        self._replica = replica
        self._events = events
        self._projection = projection
        self._readiness = readiness
        self._lease = lease
        self._proxy_away = proxy_away
        self._installed = Installed(time.monotonic)
        self._started_s = time.monotonic()
        self._shed = shed

    def requests(self) -> Handlers:
        return (
            waits(ListCallsAt, lambda _, asked: self.list_calls(asked)),
            replies(ListSubscribersAt, lambda _, asked: self.list_subscribers(asked)),
            waits(DescribeNode, lambda _, asked: self.described()),
        )

    async def describe(self) -> NodeStatus:
        """The status of this node."""
        lease, lease_s = self._lease()
        unready, shed = await asyncio.gather(self._readiness.check(), self._shed())
        return NodeStatus(
            name=self._own.name,
            id=self._own.node_id.hex(),
            address=f"{self._own.host}:{self._own.port}",
            state="alive",
            version=VERSION,
            uptime_s=round(time.monotonic() - self._started_s, 1),
            ready=not unready,
            bindings=self.count_bindings(),
            calls=await self._replica.committer.read(lambda db: db.count_calls()),
            subscribers=len(self._replica.subscribers),
            journal_depth=self._events.journal_depth,
            redis=self._projection.error or "ok",
            zone=self._membership.own.zone,
            draining=self._membership.own.draining,
            disk=self._replica.committer.space.short()
            or self._replica.committer.last_error
            or self._replica.bindings.last_error
            or self._replica.committer.damage.describe()
            or "ok",
            proxy=self._proxy(),
            shed=shed,
            lease=lease,
            lease_s=lease_s,
            installed=self._installed.version(),
            unready=unready,
        )

    def _proxy(self) -> str:
        if self._proxy_away is None:
            return ""
        return "away" if self._proxy_away() else "ok"

    def count_bindings(self) -> int:
        """The number of registration records of phones, without those of the readiness probes."""
        names = [self._own.name, *(member.info.name for member in self._membership.members)]
        probes = (key_of(RecordKind.REGISTRATION, probe_name(name)) for name in names)
        held = self._replica.bindings
        return len(held) - sum(held.get(key) is not None for key in probes)

    async def described(self) -> Described:
        """The status of this node, encoded for another node."""
        return Described(body=msgspec.msgpack.encode(await self.describe()))

    async def list_calls(self, question: ListCallsAt) -> CallsAt:
        """Calls that this node holds, in order of time."""
        after = max((question.after_us, question.after_key), (self._replica.horizon_us(), b""))
        limit = max(1, min(question.limit, PAGE_ROWS_MAX))
        rows, more = await self._replica.committer.read(
            lambda db: db.calls_after(
                after, question.until_us, limit, question.chained, question.aor
            )
        )
        return CallsAt(rows=rows, more=more)

    def list_subscribers(self, question: ListSubscribersAt) -> SubscribersAt:
        """Subscribers that this node holds, in order of their names."""
        limit = max(1, min(question.limit, PAGE_ROWS_MAX))
        bodies, more = self._replica.subscribers.page(question.after, limit)
        return SubscribersAt(bodies=bodies, more=more)
