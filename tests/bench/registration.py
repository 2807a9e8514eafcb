"""P3: the cost of a REGISTER for the whole farm, beside dmq_usrloc with as many nodes.

Every phone renews its one binding, always at the same node. Phones are spread evenly over the
nodes. The farm answers when W=2 of N=3 replicas hold the binding. The peer answers at once, and
sends the binding to all other nodes afterwards. On both sides, the benchmark checks that the
bindings are there.
"""

from contextlib import ExitStack

from bench import farm, load, network
from bench.load import Outcome, Stream
from bench.measure import Comparison, Side, compare
from bench.network import Host
from bench.peers.kamailio import Rpc, kamailio
from bench.plan import SHARED_MEMORY_MIB, WORKERS, Plan
from bench.processes import wait_for

RATE = 450.0
"""REGISTERs a second, over all nodes."""
_SETTINGS = {"proxy.authenticate": False}
_REPLICAS = 3
_COMPLETE_WITHIN_S = 10.0


def goal(nodes: int) -> float:
    """The ratio to be reached with so many: the peer's cost grows with them."""
    return 0.8 if nodes <= 3 else 0.5


def run(plan: Plan) -> Comparison:
    """Measure; raises `MeasureError` or `LabError` when that is not possible."""
    with ExitStack() as stack:
        names = [f"n{number}" for number in range(1, plan.nodes + 1)]
        *nodes, phone = stack.enter_context(network.hosts([*names, "phone"]))
        rpcs = [_peer_node(stack, node, nodes, plan) for node in nodes]
        ours = stack.enter_context(farm.farm(plan.nodes, _SETTINGS))
        namespaces = tuple(node.namespace for node in nodes)
        wait_for(
            "every DMQ node knows all others",
            lambda: all(len(rpc.ask("dmq.list_nodes")) == len(nodes) for rpc in rpcs),
            _COMPLETE_WITHIN_S,
        )
        comparison = compare(
            registering("ours", ours.nodes, ours.phone, ours.namespaces, plan),
            registering("peer", tuple(nodes), phone, namespaces, plan),
            rounds=plan.rounds,
            count=plan.count(RATE),
            warm_up=plan.users,
            idle_s=plan.idle_s,
        )
        users = _users_per_node(plan) * plan.nodes
        copies = users * min(_REPLICAS, plan.nodes)
        wait_for(
            f"the farm holds {copies} copies of {users} bindings",
            lambda: sum(ours.bindings()) >= copies,
            _COMPLETE_WITHIN_S,
        )
        wait_for(
            f"every DMQ node holds {users} bindings",
            lambda: all(rpc.bindings() == users for rpc in rpcs),
            _COMPLETE_WITHIN_S,
        )
        return comparison


def _peer_node(stack: ExitStack, node: Host, nodes: list[Host], plan: Plan) -> Rpc:
    others = [other for other in nodes if other != node]
    return stack.enter_context(
        kamailio(
            node,
            "dmq_usrloc.cfg",
            plan.work_dir,
            workers=WORKERS,
            shared_memory_mib=SHARED_MEMORY_MIB,
            parameters=[
                ("dmq", "server_address", _uri(node)),
                *(("dmq", "notification_address", _uri(other)) for other in others),
            ],
        )
    )


def registering(
    name: str, nodes: tuple[Host, ...], phone: Host, namespaces: tuple[str, ...], plan: Plan
) -> Side:
    """A side whose phones renew their bindings, each at its own node."""
    files = plan.work_dir / f"phones-{phone.namespace}"
    files.mkdir()
    users = [
        load.write_users(
            files / f"users{index}.csv",
            [(f"user{index}-{number}",) for number in range(_users_per_node(plan))],
        )
        for index in range(len(nodes))
    ]
    keys = (
        ("domain", farm.DOMAIN),
        ("contact_host", phone.address),
        ("contact_port", str(load.CALLEE_PORT)),
    )

    def work(count: int) -> Outcome:
        return load.send(
            phone,
            files,
            [
                Stream(
                    scenario="register",
                    target=node.address,
                    users=file,
                    count=-(-count // len(nodes)),
                    rate=RATE / len(nodes),
                    keys=keys,
                )
                for node, file in zip(nodes, users, strict=True)
            ],
        )

    return Side(name=name, namespaces=namespaces, work=work)


def _users_per_node(plan: Plan) -> int:
    return max(1, plan.users // plan.nodes)


def _uri(node: Host) -> str:
    return f"sip:{node.address}:5060"
