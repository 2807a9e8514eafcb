"""Sends requests on, and sends what belongs together the same way.

In: a request and its targets. Out: the request on its way. Counterparts: `fork.py` for several
targets; `pins.py`, which remembers where an INVITE went.

A request with one target goes out without state. Kamailio computes the branch of such a request
from the message alone, so any node forwards a retransmission alike. A transaction is made only
where RFC 3261 wants one: for several targets (16.7), and for a request that came on a connection
and leaves on UDP, which nobody else would retransmit (16.11).
"""

from typing import Final

from overlay.base.limits import HEADER_CHARS_MAX
from overlay.records.names import address_of_record
from overlay.records.targets import Reach, Target, encode_targets
from proxy import counters, sip_uri
from proxy.routes import (
    fields,
    flows,
    fork,
    large_requests,
    location,
    media,
    pins,
    record_route,
    responses,
)
from proxy.worker import Worker

_CALL: Final = fields.VariableGroup("$ci", "$ft", exact=True)


def to_targets(worker: Worker, method: str, targets: tuple[Target, ...]) -> None:
    """Send an initial request to all its targets; if it cannot be sent, it is answered."""
    ksr = worker.ksr
    call_id, from_tag = _CALL.read(worker)
    if len(from_tag) > HEADER_CHARS_MAX:
        responses.send(worker, 400, "Tag Too Long")
        return
    record_routed = method in record_route.DIALOG_CREATING
    targets = large_requests.prefer_tcp(worker, method, targets)
    # All branches of a fork are offered the media that suit the first.
    protocol = location.protocol_to(targets[0])
    if method == "INVITE" and not media.pass_initial_offer(worker, protocol, targets):
        return
    if len(targets) > 1 or targets[0].backups:
        fork.send(worker, method, targets, from_tag if record_routed else None)
        return
    target = targets[0]
    if record_routed:
        record_route.insert(worker, target, call_id, from_tag)
    hop = _aim(worker, target, call_id)
    if method == "INVITE":
        stateless = ksr.is_UDP() or sip_uri.is_reliable(hop)
        text = encode_targets(targets).decode() if stateless else pins.WITH_TRANSACTION
        pins.pin(worker, call_id, from_tag, text)
    if not send(worker, method, hop):
        responses.send(worker, 480, "Temporarily Unavailable")


def send(worker: Worker, method: str, hop: str) -> bool:
    """Whether a request, whose next hop is set and has the URI `hop`, left; True also for an ACK
    that ends here, as a transaction of this node had passed its refusal on."""
    ksr = worker.ksr
    if sip_uri.transport_of(hop) not in sip_uri.TRANSPORTS:
        return False
    if ksr.is_UDP() or sip_uri.is_reliable(hop):
        return _forward(worker)
    if method == "ACK":
        return _absorbed(worker) or _forward(worker)
    if method == "CANCEL" and ksr.tm.t_check_trans() < 0:
        return False
    worker.count(counters.TRANSACTIONS)
    if worker.call_claimed:
        ksr.tm.t_on_failure("ksr_failure_route")
    return ksr.tm.t_relay() >= 0


def follow_pin(worker: Worker, method: str) -> bool:
    """Send a CANCEL, or the ACK of a refused INVITE, where the INVITE went (RFC 3261 16.10). False
    if this node does not remember one."""
    ksr = worker.ksr
    call_id, from_tag = _CALL.read(worker)
    pin = pins.read(worker, call_id, from_tag)
    if pin is None:
        return False
    if not pin.startswith(pins.WITH_TRANSACTION):
        target = pins.target_in(pin)
        sent = target is not None and send(worker, method, _aim(worker, target, call_id))
    elif method == "ACK":
        sent = _absorbed(worker)
    else:
        sent = ksr.tm.t_check_trans() >= 0 and ksr.tm.t_relay() >= 0
    _answer_unless(worker, method, sent=sent)
    return True


def follow_binding(worker: Worker, method: str) -> None:
    """Send a CANCEL or ACK whose INVITE this node does not remember to the binding of now."""
    target = _current_target(worker)
    call_id = worker.ksr.kx.get_callid()
    sent = target is not None and send(worker, method, _aim(worker, target, call_id))
    _answer_unless(worker, method, sent=sent)


def _answer_unless(worker: Worker, method: str, *, sent: bool) -> None:
    """Refuse a CANCEL that could not be sent; an ACK is never answered."""
    if not sent and method == "CANCEL":
        responses.send(worker, 481, "Call/Transaction Does Not Exist")


def _current_target(worker: Worker) -> Target | None:
    """The first target of the Request-URI as the bindings are now; None if the Request-URI leads
    elsewhere, as nothing proves that the farm sent the INVITE there."""
    kx = worker.ksr.kx
    user = kx.get_ruser()
    if not user or (kx.get_rhost() or "").lower() not in worker.settings.own_hosts:
        return None
    found = location.find(worker, address_of_record(user, worker.settings.farm))
    return None if found is None or isinstance(found, Reach) else found[0]


def _aim(worker: Worker, target: Target, call_id: str) -> str:
    """Set Request-URI and next hop; the URI of that hop."""
    worker.ksr.seturi(target.uri)
    answered = bool(target.backups)
    return flows.aim_at_target(worker, target, call_id, answered=answered) or target.uri


def _forward(worker: Worker) -> bool:
    if worker.ksr.forward() < 0:
        worker.count(counters.FORWARD_FAILED)
        worker.log.line("forward", "a next hop could not be resolved or reached")
        return False
    return True


def _absorbed(worker: Worker) -> bool:
    """Whether this ACK was for a refusal that a transaction of this node had passed on."""
    return worker.ksr.tm.t_check_trans() == 0
