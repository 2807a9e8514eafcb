"""Replies: all but one kind go through untouched.

In: any reply. Out: nothing, or the reply dropped, so that its sender repeats it. A 2xx to an
initial INVITE is the start of a call: it goes on only after its event is safe. Such a reply is
known by the Record-Route that the farm wrote into its request, as requests inside a dialog get
none.
"""

from proxy import counters, route_token
from proxy.routes import call_events, relay
from proxy.worker import Worker

RECORD_ROUTES_MAX = 32
"""Header fields looked through for the farm's own."""


def route(worker: Worker) -> None:
    """Deal with one reply."""
    ksr = worker.ksr
    if not 200 <= ksr.kx.get_status() < 300 or ksr.kx.get_method() != "INVITE":
        return
    parameters = _own_record_route(worker)
    if parameters is None:
        return
    call_id, from_tag = call_events.text(worker, "$ci"), call_events.text(worker, "$ft")
    passage = route_token.passage(
        worker.settings.route_key, parameters, call_id, from_tag, from_tag
    )
    if passage is None:
        return
    relay.unpin(worker, call_id, from_tag)
    if not call_events.start(worker, call_id, from_tag):
        worker.count(counters.EVENTS_DROPPED)
        ksr.set_drop()


def _own_record_route(worker: Worker) -> dict[str, str] | None:
    get_idx = worker.ksr.hdr.get_idx
    marker = f"<sip:{worker.settings.record_route_host};s="
    for index in range(RECORD_ROUTES_MAX):
        value = get_idx("Record-Route", index)
        if not value:
            return None
        start = value.find(marker)
        if start >= 0:
            return route_token.parameters_of(value[start + 1 :].partition(">")[0])
    return None
