"""Flows: ways to a phone that only one node has (RFC 5626), because it is on a connection or
behind a NAT.

In: requests from or for such phones. Out: the flow that a request came on; the next hop of one
that must go along a flow: the phone itself on the node that holds the flow, that node on any
other. Counterpart: `delivery.py` on the owner.
"""

from typing import Final

from overlay.control.messages import Target
from proxy import counters, route_token, sip_uri
from proxy.route_token import Flow
from proxy.worker import Worker

LAST: Final = ";l=1"
"""The parameter of a Route to a flow's owner, for a request that is on a detour already."""


def flow_of_sender(worker: Worker, contact: str) -> Flow | None:
    """The flow that the sender of this request must be reached on; None if any node can send to
    its Contact, given as URI or name-addr. Only for a request that came straight from its
    sender."""
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
    """Make the target's path, or else its flow, the next hop, as `follow`; the URI of that hop, or
    None where any node can send to the target's URI."""
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
    """Make the flow the next hop; the URI of that hop. With `answered` it is handed over even by
    its owner, to itself, so that a transaction hears it when the flow has failed; with `last` the
    owner is not to look for another way."""
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
    """How a request for the flow goes to its owner: what is encrypted to the phone is before."""
    if flow.protocol in ("tls", "wss") and worker.settings.encrypts:
        return "tls"
    return "udp" if worker.ksr.is_UDP() else "tcp"
