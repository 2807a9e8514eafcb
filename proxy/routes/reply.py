"""Replies. All but one kind of them go on as they are.

In: any reply. Out: the reply without an identity that its sender may not assert; or the reply
dropped, so that its sender repeats it.

A 2xx to an initial INVITE starts a call, and goes on only after its event is safe. It is known by
the Record-Route that the farm wrote into its request, as requests in a dialog get none. If the
callee has left the Record-Route out, the pin of the INVITE tells.
"""

from typing import Final

from proxy import counters, route_token, sip_uri
from proxy.routes import (
    admission,
    call_events,
    claims,
    fields,
    identity,
    media,
    notes,
    pings,
    pins,
    session,
)
from proxy.worker import Worker

_CALL: Final = fields.VariableGroup("$ci", "$ft")


def route(worker: Worker) -> None:
    """Deal with one reply."""
    ksr = worker.ksr
    method = ksr.kx.get_method()
    # Looking for a field makes Kamailio parse the whole message, and a reply to BYE needs none.
    if method == "BYE":
        return
    if method == "OPTIONS" and pings.is_answer(worker):
        ksr.set_drop()
        return
    status = ksr.kx.get_status()
    if status > 100:
        identity.remove_untrusted(worker)
    media.answered(worker, method, status)
    if method != "INVITE" or status < 200:
        return
    call_id, from_tag = _CALL.read(worker)
    if status >= 300:
        _refused(worker, status, call_id, from_tag)
        return
    if not worker.settings.config.billing.enabled:
        pins.unpin(worker, call_id, from_tag)
        return
    if not admission.may_pass_reply(worker):
        ksr.set_drop()
        return
    parameters = _parameters_of_start(worker, call_id, from_tag)
    if parameters is None:
        return
    session_s = session.complete_answer(worker, parameters)
    note = notes.read(worker, parameters, call_id, from_tag, "$tu")
    if not call_events.write_start(
        worker, call_id, from_tag, session_s, parameters.get("k", ""), note
    ):
        worker.count(counters.EVENTS_DROPPED)
        ksr.set_drop()
        return
    pins.unpin(worker, call_id, from_tag)


def _refused(worker: Worker, status: int, call_id: str, from_tag: str) -> None:
    """A final answer that is no 2xx. An answer in a dialog has no pin. A fork has several such
    answers, and its call may be answered all the same, so it is left to the failure route."""
    if not pins.is_pinned_to_target(worker, call_id, from_tag):
        return
    claims.release(worker)
    media.refused(worker)
    if status not in (401, 407) and worker.settings.config.billing.attempts:
        note = notes.of_refused(worker, call_id, from_tag)
        call_events.write_attempt(worker, call_id, from_tag, note)


def _parameters_of_start(worker: Worker, call_id: str, from_tag: str) -> dict[str, str] | None:
    """The parameters of the Record-Route that the farm gave this call's INVITE; None if the reply
    does not start a call."""
    key, found = worker.settings.route_key, dict[str, str]()
    for parameters in _own_record_routes(worker):
        if route_token.read_record_route(key, parameters, call_id, from_tag, from_tag):
            # A call between two transports has two Record-Routes, and one of them has the note.
            found = {**parameters, **found}
    return found if found or pins.is_pinned(worker, call_id, from_tag) else None


def _own_record_routes(worker: Worker) -> list[dict[str, str]]:
    """The URI parameters of each Record-Route that has the farm's name."""
    farm, own = worker.settings.farm, worker.settings.own_route
    found: list[dict[str, str]] = []
    try:
        values = fields.all_of(worker, "Record-Route")
    except UnicodeDecodeError:
        return found
    for value in values:
        if value.startswith(own) and value.find("<", 1) < 0:
            found.append(route_token.parameters_of(value.partition(">")[0]))
            continue
        for text in value.split("<")[1:]:
            uri = text.partition(">")[0]
            if sip_uri.host_of(uri) == farm:
                found.append(route_token.parameters_of(uri))
    return found
