"""Sends requests that other nodes handed over along a flow of this node.

In: a request whose Route names a flow of this node, signed by a node of the farm. Out: the request
on that flow. Counterpart: `flows.py` on the node that handed it over. That node has done all the
rest: policy, Record-Route and call events.
"""

from proxy import counters, route_token
from proxy.routes import detour, flows, relay, responses
from proxy.worker import Worker


def route(worker: Worker, method: str, parameters: dict[str, str]) -> bool:
    """Send the request along the flow that its Route's `parameters` name. False if no node of the
    farm wrote them for this request: whoever sent it is a stranger."""
    ksr, settings = worker.ksr, worker.settings
    call_id = ksr.kx.get_callid()
    flow = route_token.read_owner_route(settings.route_key, parameters, call_id)
    if flow is None or flow.owner != settings.node:
        return False
    ksr.rr.loose_route_mode(1)
    hop = flows.aim_at_flow(worker, flow, call_id)
    worker.count(counters.FLOWS_DELIVERED)
    if relay.send(worker, method, hop):
        return True
    worker.count(counters.FLOWS_BROKEN)
    in_dialog = ksr.siputils.has_totag() > 0
    if "l" not in parameters and in_dialog and detour.send(worker, method, flow, call_id):
        return True
    responses.send(worker, 430, "Flow Failed")
    return True
