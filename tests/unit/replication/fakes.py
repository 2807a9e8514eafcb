"""Stands for the network, the disk and the farm, in tests of the parts that coordinate writes."""

from collections.abc import Callable
from typing import Any

from overlay.base.errors import StorageError
from overlay.links.peer_protocol import PeerReply, PeerRequest
from overlay.records.node_info import NodeInfo
from overlay.replication.replica import EventStored, Replica
from overlay.replication.replicas import Replicas
from overlay.replication.spreader import Spreader
from overlay.storage.committer import Committed, Committer
from overlay.storage.damage import Damage
from overlay.storage.rows import Row


def node(name: str) -> NodeInfo:
    """A node whose id is its name."""
    return NodeInfo(node_id=name.encode().ljust(20), name=name, host=name, port=1)


class FakeTransport:
    """Requests that the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        """Names of the nodes, and the requests, in order."""
        self._answers: dict[str, Callable[[PeerReply], None]] = {}

    def request(
        self,
        node_id: bytes,
        request: PeerRequest,
        answered: Callable[[PeerReply], None],
        timeout_s: float,
    ) -> None:
        name = node_id.decode().strip()
        self.asked.append((name, request))
        self._answers[name] = answered

    @property
    def names(self) -> list[str]:
        """The nodes that were asked."""
        return [name for name, _ in self.asked]

    def reply(self, name: str, reply: PeerReply) -> None:
        """What a node answers to the last request."""
        self._answers.pop(name)(reply)


class FakeDisk:
    """A disk of which the test says when a commit is through."""

    def __init__(self) -> None:
        self.damage = Damage()
        self.last_error = ""
        self.rows: list[Row] = []
        self._finished: list[Committed] = []

    def commit(self, rows: list[Row], finished: Committed) -> None:
        self.rows += rows
        self._finished.append(finished)

    def finish(self, error: StorageError | None = None) -> None:
        """The commit under way is safe, or failed."""
        self._finished.pop(0)(error)


class FakePlacement:
    """Every key has the same replicas."""

    epoch = 0

    def __init__(self, nodes: tuple[NodeInfo, ...]) -> None:
        self._nodes = nodes

    def of(self, key: bytes) -> tuple[NodeInfo, ...]:
        return self._nodes

    surely = of


class World:
    """The replicas n1 to nN as n1 sees them."""

    def __init__(self, count: int, event_stored: EventStored = lambda key, event: None) -> None:
        self.nodes = tuple(node(f"n{number}") for number in range(1, count + 1))
        self.transport = FakeTransport()
        self.disk = FakeDisk()
        self.committer = Committer(self.disk)  # type: ignore[arg-type]
        unused: Any = None
        own_id = node("n1").node_id
        transport: Any = self.transport
        placement: Any = FakePlacement(self.nodes)
        self.replicas = Replicas(
            own_id=own_id,
            own=Replica(
                own_id=own_id,
                bindings=unused,
                subscribers=unused,
                committer=self.committer,
                hot=unused,
                transport=transport,
                now_ms=lambda: 0,
                vetting=unused,
                horizon_us=lambda: 0,
                event_stored=event_stored,
            ),
            placement=placement,
            transport=transport,
            spreader=Spreader(transport),
            count=3,
            write_quorum=2,
            read_quorum=2,
        )

    def spread(self) -> list[str]:
        """The nodes that get what has gathered for the next batch."""
        before = len(self.transport.asked)
        self.replicas.spreader.flush()
        return self.transport.names[before:]
