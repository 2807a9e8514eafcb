"""Requests in a dialog: any node sends them along the Record-Route that the farm wrote.

In: a request with a To tag. Out: the request on its way to the other side of the dialog.

The signature in the Route proves that the farm let the call pass, so no sender is challenged again.
A request without a good signature is treated as one outside of dialogs if it is for a subscriber,
and refused otherwise, so there is no open relay.
"""

from typing import Final

from proxy import counters, route_token
from proxy.routes import (
    call_events,
    detour,
    fields,
    flows,
    identity,
    media,
    notes,
    relay,
    responses,
    session,
)
from proxy.worker import Worker

_DIALOG: Final = fields.VariableGroup("$ci", "$ft", "$tt", exact=True)


def route(worker: Worker, method: str, parameters: dict[str, str]) -> bool:
    """Send a request in a dialog on. False if the farm did not write its Route for this dialog.
    `parameters` are those of the first Route; empty if that is not the farm's."""
    if "s" not in parameters:
        return False
    ksr, settings = worker.ksr, worker.settings
    call_id, from_tag, to_tag = _DIALOG.read(worker)
    dialog_route = route_token.read_record_route(
        settings.route_key, parameters, call_id, from_tag, to_tag
    )
    if dialog_route is None:
        return False
    if method not in ("ACK", "BYE"):
        identity.remove_untrusted(worker)
    ksr.rr.loose_route_mode(1)
    if ksr.isdsturiset():
        hop = ksr.kx.get_duri() or ""
    elif dialog_route.flow is not None:
        gone = detour.is_gone(worker, dialog_route.flow)
        way = detour.find(worker, dialog_route.flow) if gone else None
        if way is None:
            hop = flows.aim_at_flow(worker, dialog_route.flow, call_id)
        else:
            hop = detour.aim(worker, way, call_id)
    else:
        hop = ksr.kx.get_ruri() or ""
        host = (ksr.kx.get_rhost() or "").lower()
        if not host or host in settings.own_hosts:
            responses.send(worker, 404, "Not Found")
            return True
    billed = settings.config.billing.enabled and method in ("BYE", "INVITE", "UPDATE")
    note = call_events.NO_NOTE
    if billed:
        caller_tag, callee = (from_tag, "$tu") if dialog_route.from_caller else (to_tag, "$fu")
        note = notes.read(worker, parameters, call_id, caller_tag, callee)
    if method == "BYE" and not call_events.write_stop(
        worker, call_id, from_tag, dialog_route.trunk, note
    ):
        worker.count(counters.EVENTS_DROPPED)
        responses.unavailable(worker)
        return True
    protocol = dialog_route.flow.protocol if dialog_route.flow else "udp"
    if media.is_relayed(parameters) and not media.in_dialog(worker, method, protocol):
        return True
    if method in ("INVITE", "UPDATE"):
        call_events.write_interim(worker, call_id, from_tag, session.interval_s(worker), note)
    if relay.send(worker, method, hop):
        return True
    # The phone closed its connection to this node.
    if dialog_route.flow is None or not detour.send(worker, method, dialog_route.flow, call_id):
        responses.send(worker, 480, "Temporarily Unavailable")
    return True
