"""Aims requests at phones, along the flows that only one node has (RFC 5626).

In: requests from such phones, or for them. Out: the flow that a request came on; the next hop of a
request for a flow. That hop is the phone itself on the node that holds the flow, and that node on
every other. Counterpart: `handed_over.py` on the owner.

A phone has a flow if it is on a connection, or behind a NAT.
"""

from typing import Final

from overlay.records.targets import Target
from proxy import counters, route_token, sip_uri
from proxy.route_token import Flow
from proxy.worker import Worker

LAST: Final = ";l=1"
"""Parameter of the Route to a flow's owner, for a request that is already on a detour."""


def flow_of_sender(worker: Worker, contact: str) -> Flow | None:
    """The flow on which the sender of this request must be reached; None if any node can send to
    its Contact, which is given as URI or name-addr. A request that came through another proxy has
    no flow."""
    kx = worker.ksr.kx
    protocol = kx.get_proto()
    address = kx.get_srcip()
    if protocol == "udp" and sip_uri.is_at(sip_uri.of_name_address(contact), address):
        return None
    if worker.ksr.pv.get("$hdrc(Via)") != 1:
        return None
    return Flow(worker.settings.node, protocol, address, kx.get_srcport())


def aim_at_target(
    worker: Worker, target: Target, call_id: str, *, answered: bool = False, last: bool = False
) -> str | None:
    """Make the target's Path, or else its flow, the next hop; the URI of that hop, or None if any
    node can send to the target's URI. For `answered` and `last` see `aim_at_flow`."""
    ksr = worker.ksr
    if target.path:
        ksr.hdr.insert(f"Route: {', '.join(f'<{hop}>' for hop in target.path)}\r\n")
        ksr.setdsturi(target.path[0])
        return target.path[0]
    flow = route_token.flow_of(target.owner, target.received) if target.received else None
    return aim_at_flow(worker, flow, call_id, answered=answered, last=last) if flow else None


def aim_at_flow(
    worker: Worker, flow: Flow, call_id: str, *, answered: bool = False, last: bool = False
) -> str:
    """Make the flow the next hop; the URI of that hop.

    With `answered`, even the owner hands the request over, to itself, so that a transaction gets an
    answer if the flow has failed. With `last`, the owner does not look for another way.
    """
    ksr, settings = worker.ksr, worker.settings
    if flow.owner == "" or (flow.owner == settings.node and not answered):
        hop = flow.hop
        if flow.reliable:
            ksr.set_forward_no_connect()
    else:
        host = f"{flow.owner}.{settings.farm}"
        route = route_token.write_owner_route(settings.route_key, host, call_id, flow)
        ksr.hdr.insert(f"Route: <{route}{LAST if last else ''}>\r\n")
        hop = settings.node_uri(flow.owner, _between_nodes(worker, flow))
        worker.count(counters.HANDED_OVER)
    ksr.setdsturi(hop)
    return hop


def _between_nodes(worker: Worker, flow: Flow) -> str:
    """The transport by which a request for the flow goes to its owner: TLS if the flow is
    encrypted."""
    if flow.protocol in ("tls", "wss") and worker.settings.encrypts:
        return "tls"
    return "udp" if worker.ksr.is_UDP() else "tcp"
