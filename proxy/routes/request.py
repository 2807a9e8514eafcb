"""The way of a request through the proxy, as a checklist.

In: any request. Out: the request, handed to the route that deals with it.

The policy (RFC 3261 16.3, 22.3): a subscriber may call anywhere, after proving to be that
subscriber. Anybody may call a subscriber. Nothing else is let through. Numbers that no subscriber
has go to trunks, and emergency calls go there before all else.
"""

from typing import Final

from overlay.records.names import address_of_record
from overlay.records.targets import Reach, Target
from proxy import counters, route_token, sip_uri
from proxy.routes import (
    admission,
    auth,
    call_events,
    checks,
    dialog,
    handed_over,
    identity,
    location,
    notes,
    policy,
    registrar,
    relay,
    responses,
    room,
    session,
    shed,
    trunks,
)
from proxy.routes.auth import AuthenticatedSubscriber
from proxy.worker import Worker

Sender = tuple[AuthenticatedSubscriber | None, str]
"""The subscriber who proved to be the sender, if any; and the subscriber that From names, or
empty."""

_METHODS_TO_THE_FARM: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"


def route(worker: Worker) -> None:
    """Deal with one request."""
    ksr = worker.ksr
    notes.forget_caller(worker)
    method = ksr.kx.get_method()
    if method == "OPTIONS" and _is_daemons_probe(worker):
        responses.send(worker, 200, "OK")
        return
    if not ksr.is_UDP() and ksr.kx.get_proto() in ("ws", "wss"):
        # Browsers do not ask for rport, and their sent-by leads nowhere (RFC 7118 5.2).
        ksr.force_rport()
    # An ACK is never answered, and leaves no trace.
    if (method != "ACK" and not admission.pass_request(worker)) or not checks.pass_hops(worker):
        return
    first_route = ksr.hdr.get_idx("Route", 0)
    parameters: dict[str, str] = {}
    if first_route is not None:
        parameters = _own_parameters(worker, first_route)
        if "f" in parameters and handed_over.route(worker, method, parameters):
            return
    in_dialog = method != "CANCEL" and ksr.siputils.has_totag() > 0
    if in_dialog and dialog.route(worker, method, parameters):
        return
    if method in ("ACK", "CANCEL") and relay.follow_pin(worker, method):
        return
    # Nothing that the farm wrote or remembers proves anything of this request.
    if not _admit_stranger(worker, method):
        return
    if method in ("ACK", "CANCEL"):
        relay.follow_binding(worker, method)
    elif in_dialog and (first_route is not None or not _to_own_host(worker)):
        responses.send(worker, 481, "Call/Transaction Does Not Exist")
    else:
        _initial(worker, method, first_route)


def _is_daemons_probe(worker: Worker) -> bool:
    """Whether the node's daemon asks if this Kamailio answers. It does so several times a second,
    so nothing else is done for the request, and no load or limit keeps the daemon from its
    answer."""
    address, kx = worker.settings.config.node.address, worker.ksr.kx
    return kx.get_srcip() == address and kx.get_rhost() == address


def _own_parameters(worker: Worker, first_route: str) -> dict[str, str]:
    """URI parameters of the first Route; empty if its host is not the farm's."""
    if first_route.startswith(worker.settings.own_route):
        return route_token.parameters_of(first_route.partition(">")[0])
    uri = first_route.partition("<")[2].partition(">")[0]
    if sip_uri.host_of(uri) not in worker.settings.own_hosts:
        return {}
    return route_token.parameters_of(uri)


def _admit_stranger(worker: Worker, method: str) -> bool:
    """Whether there is time for a request of which nothing is known, and its sender's address does
    not flood."""
    if not shed.pass_load(worker, method):
        return False
    if checks.is_moderate(worker) or trunks.emergency(worker) or trunks.source(worker) is not None:
        return True
    worker.count(counters.FLOODS)
    return False


def _initial(worker: Worker, method: str, first_route: str | None) -> None:
    """A request outside of dialogs, or in a dialog that the farm knows nothing of."""
    ksr = worker.ksr
    length = ksr.kx.get_msglen()
    if not (
        admission.pass_size(worker, length)
        and checks.pass_form(worker)
        and checks.pass_sender(worker)
    ):
        return
    if first_route is not None:
        ksr.rr.loose_route_mode(1)
        if ksr.isdsturiset():
            worker.count(counters.RELAY_REFUSED)
            responses.send(worker, 403, "Preloaded Route To Elsewhere")
            return
    if method == "REGISTER":
        registrar.register(worker)
        return
    to_own_host = _to_own_host(worker)
    emergency = trunks.emergency(worker)
    dialled = trunks.dialled_user(worker)
    if to_own_host and not emergency and not dialled:
        _to_the_farm(worker, method)
        return
    if not room.pass_source(worker, length):
        return
    if trunks.source(worker) is not None:
        _from_carrier(worker, method, dialled, to_own_host=to_own_host)
        return
    sender = _admit_sender(worker, method, to_own_host=to_own_host, emergency=bool(emergency))
    if sender is None:
        return
    if emergency:
        gateways = worker.shown.table().emergency_targets(emergency, ksr.kx.get_callid())
        identity.assert_sender(worker, *sender, to_carrier=True)
        trunks.send(worker, method, gateways, emergency=True)
        return
    if method == "INVITE" and not (_admit_new_call(worker) and session.pass_invite(worker)):
        return
    if to_own_host:
        _to_subscriber(worker, method, dialled, sender)
    else:
        _to_elsewhere(worker, method, sender)


def _to_own_host(worker: Worker) -> bool:
    """Whether the Request-URI is the farm's. Numbers and services without a host are (RFC 3966, RFC
    5031)."""
    host = worker.ksr.kx.get_rhost()
    if not host:
        return (worker.ksr.kx.get_ruri() or "")[:4].lower() in ("tel:", "urn:")
    return host.lower() in worker.settings.own_hosts


def _to_the_farm(worker: Worker, method: str) -> None:
    """A request for the farm itself: phones keep their NAT open with OPTIONS."""
    if method == "OPTIONS":
        worker.ksr.hdr.append_to_reply(f"Allow: {_METHODS_TO_THE_FARM}\r\n")
        responses.send(worker, 200, "OK")
    elif method in ("INVITE", "MESSAGE", "REFER"):
        responses.send(worker, 404, "Not Found")
    else:
        worker.ksr.hdr.append_to_reply(f"Allow: {_METHODS_TO_THE_FARM}\r\n")
        responses.send(worker, 405, "Method Not Allowed")


def _admit_sender(
    worker: Worker, method: str, *, to_own_host: bool, emergency: bool
) -> Sender | None:
    """The sender, if the request may go where it is to go; None if not, and it is answered."""
    kx, settings = worker.ksr.kx, worker.settings
    from_host = (kx.get_fhost() or "").lower()
    from_aor = ""
    if from_host in settings.own_hosts:
        from_aor = address_of_record(kx.get_fuser() or "", settings.farm)
    if not settings.config.proxy.authenticate or not (
        from_aor
        or emergency
        or (from_host == identity.ANONYMOUS_HOST and _has_to_prove(worker, to_own_host))
    ):
        if not to_own_host:
            worker.count(counters.RELAY_REFUSED)
            responses.send(worker, 403, "Forbidden")
            return None
        return None, from_aor
    subscriber = auth.authenticate(worker, from_aor, emergency=emergency)
    if subscriber is None:
        return None
    if not emergency and not policy.pass_call(
        worker, subscriber.aor, subscriber.policy, method, repeated=subscriber.repeated
    ):
        auth.forget(worker)
        return None
    auth.conceal(worker)
    return subscriber, from_aor


def _from_carrier(worker: Worker, method: str, dialled: str, *, to_own_host: bool) -> None:
    """A request from a carrier may go to subscribers only: a call that came in never goes out
    again."""
    worker.count(counters.TRUNK_CALLS_IN)
    if not to_own_host:
        worker.count(counters.RELAY_REFUSED)
        responses.send(worker, 403, "Forbidden")
        return
    if method == "INVITE" and not (_admit_new_call(worker) and session.pass_invite(worker)):
        return
    identity.assert_sender(worker, None, "", from_carrier=True)
    _to_found_targets(worker, method, location.of_dialled(worker, dialled))


def _has_to_prove(worker: Worker, to_own_host: bool) -> bool:
    """Whether a sender without a name in From (RFC 3323) has to prove to be a subscriber."""
    return not to_own_host or bool(identity.preferred(worker)) or auth.has_credentials(worker)


def _admit_new_call(worker: Worker) -> bool:
    """Whether a new call is taken, although perhaps it cannot be billed; if not, it is answered."""
    if call_events.writable(worker):
        return True
    if worker.settings.config.billing.when_unwritable == "refuse":
        worker.count(counters.CALLS_REFUSED)
        responses.retry_later(worker)
        return False
    worker.count(counters.CALLS_AT_RISK)
    return True


def _to_subscriber(worker: Worker, method: str, dialled: str, sender: Sender) -> None:
    found = location.of_dialled(worker, dialled)
    if found is Reach.UNKNOWN and sender[0] is not None and method in trunks.METHODS:
        number = worker.shown.table().number_of(dialled)
        gateways = trunks.number_targets(worker, number) if number else ()
        if gateways:
            identity.assert_sender(worker, *sender, to_carrier=True)
            trunks.send(worker, method, gateways)
            return
    identity.assert_sender(worker, *sender)
    _to_found_targets(worker, method, found)


def _to_elsewhere(worker: Worker, method: str, sender: Sender) -> None:
    proved = sender[0] is not None and method in trunks.METHODS
    gateways = trunks.domain_targets(worker) if proved else ()
    identity.assert_sender(worker, *sender, to_carrier=bool(gateways))
    if gateways:
        trunks.send(worker, method, gateways)
    else:
        relay.to_targets(worker, method, (Target(uri=worker.ksr.kx.get_ruri() or ""),))


def _to_found_targets(
    worker: Worker, method: str, found: tuple[Target, ...] | Reach | None
) -> None:
    if found is None:
        responses.unavailable(worker)
    elif found is Reach.UNKNOWN:
        responses.send(worker, 404, "Not Found")
    elif isinstance(found, Reach):
        responses.send(worker, 480, "Temporarily Unavailable")
    elif (worker.ksr.kx.get_ruri() or "")[:5].lower() == "sips:":
        if encrypted := location.encrypted(found):
            relay.to_targets(worker, method, encrypted)
        else:
            responses.warned(worker, 480, "Temporarily Unavailable", "SIPS Not Allowed", 380)
    else:
        relay.to_targets(worker, method, found)
