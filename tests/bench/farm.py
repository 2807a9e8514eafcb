"""Runs our side of a comparison: the farm in the lab.

In: the number of nodes, and their settings. Out: nodes, a phone host to load them from, and the
farm's own counts of what it holds. Counterpart: `peers/`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.network import Host
from bench.processes import MeasureError

from deploy.lab import Lab
from deploy.lab.layout import DATA_DIR
from overlay.control.client import ControlClient
from overlay.control.control_protocol import ControlRequest
from overlay.control.operator_messages import Calls, GetStatus, ListCalls, Status
from overlay.records.node_status import NodeStatus

DOMAIN = "farm.test"
_AS_THE_PEERS = {
    "proxy.tls_port": 0,
    "proxy.ws_port": 0,
    "proxy.wss_port": 0,
    "proxy.source_requests_per_s_max": 0,
}
"""What the peers do not serve has no processes and no memory on our side either; and all load
comes from one address."""
_ANSWER_WITHIN_S = 5.0
_PAGE_CALLS = 500
_PHONE = "p1"


@dataclass(frozen=True, kw_only=True)
class Farm:
    """The farm that is up."""

    nodes: tuple[Host, ...]
    phone: Host
    control_sockets: tuple[Path, ...]
    """A node each, in the nodes' order."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where its CPU is spent."""
        return tuple(node.namespace for node in self.nodes)

    def bindings(self) -> tuple[int, ...]:
        """Registration records that each node holds."""
        found = []
        for socket in self.control_sockets:
            status = _ask(socket, GetStatus())
            assert isinstance(status, Status)
            itself: NodeStatus = status.nodes[0]
            found.append(itself.bindings)
        return tuple(found)

    def calls(self) -> Counter[str]:
        """Billing records of the whole farm by state, asked at its last node."""
        cursor = ""
        found: Counter[str] = Counter()
        while True:
            page = _ask(self.control_sockets[-1], ListCalls(cursor=cursor, limit=_PAGE_CALLS))
            assert isinstance(page, Calls)
            if page.silent:
                raise MeasureError(f"nodes that do not answer: {' '.join(page.silent)}")
            found.update(call.state for call in page.calls)
            cursor = page.cursor
            if not cursor:
                return found


@contextmanager
def farm(nodes: int, settings: Mapping[str, object]) -> Iterator[Farm]:
    """A ready farm, until the end of the block; `settings` are values by `section.key`."""
    lab = Lab.up(nodes, farm=DOMAIN, settings={**_AS_THE_PEERS, **settings})
    try:
        phone = lab.phone(_PHONE)
        yield Farm(
            nodes=tuple(Host(namespace=node.name, address=node.address) for node in lab.nodes),
            phone=Host(namespace=phone.name, address=phone.address),
            control_sockets=tuple(lab.config(node.name).control_socket for node in lab.nodes),
        )
    finally:
        Lab.down()


def data_directory() -> Path:
    """Where the nodes keep their databases: the peer's belong on the same disk."""
    return DATA_DIR.parent


def _ask(socket: Path, request: ControlRequest) -> object:
    with ControlClient(socket) as client:
        return client.ask(request, _ANSWER_WITHIN_S)
