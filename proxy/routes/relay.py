"""Sends requests on, and sees to it that what belongs together goes the same way.

In: a request and its targets. Out: the request on its way. A request with one target goes out
without state; Kamailio's stateless branch is a function of the message, so any node forwards a
retransmission alike. A transaction is made only where RFC 3261 wants one: several targets (16.7),
and a request that came on a connection and leaves on UDP, which nobody else would retransmit
(16.11).

CANCEL, and the ACK of a refused INVITE, must leave as their INVITE did (16.10, 17.1.1.3). The
binding may have changed since, so the chosen target is pinned under Call-ID, CSeq and From tag
until the call is answered. Without the pin, on another node, the binding of now is the best guess.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from overlay.records.names import address_of_record
from overlay.records.targets import Reach, Target, decode_targets, encode_targets
from proxy import counters, fork_plan, route_token, sip_uri
from proxy.routes import answers, bulk, claims, fields, flows, location, media, notes, session
from proxy.settings import Settings
from proxy.worker import Worker

DIALOG_CREATING: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER"})
VIAS_OF_A_FORK_MAX: Final = 6
"""A fork that came this far is likely a loop, and each round would multiply it (RFC 5393)."""
FLOW_FAILED: Final = frozenset({408, 430, 477})
"""Answers after which the device's next flow is tried: the timer's, the owner's, and Kamailio's
when it could not send."""
DECLINED_FOR_ALL: Final = 600
"""From here on, an answer is for the address-of-record and not for one device."""
RING_LAST_S: Final = 180
"""How long those ring after whom nobody comes, as kamailio.cfg says as well."""
ANSWER_WITHIN_MS: Final = 8_000
"""How long a transaction waits for any answer, as kamailio.cfg says as well."""
_CALLER: Final = fields.Group("$ci", "$ft", exact=True)
_PINS: Final = "pins"
_WITH_TRANSACTION: Final = "tm"
_REASONS: Final = {
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    600: "Busy Everywhere",
    603: "Decline",
}
"""Of answers that are given again: Kamailio does not show a branch's own reason."""


def to_targets(worker: Worker, method: str, targets: tuple[Target, ...]) -> None:
    """Send an initial request to all its targets."""
    ksr = worker.ksr
    call_id, from_tag = _CALLER.read(worker)
    record_routed = method in DIALOG_CREATING
    targets = bulk.prefer_tcp(worker, method, targets)
    # Of a fork, all are offered what suits the first.
    protocol = location.protocol_of(targets[0])
    if method == "INVITE" and not media.begin(worker, protocol, targets):
        return
    if len(targets) > 1 or targets[0].backups:
        _fork(worker, method, targets, (call_id, from_tag) if record_routed else None)
        return
    target = targets[0]
    if record_routed:
        record_route(worker, target, call_id, from_tag)
    hop = _aim(worker, target, call_id)
    if method == "INVITE":
        stateless = ksr.is_UDP() or sip_uri.is_reliable(hop)
        pin = encode_targets(targets).decode() if stateless else _WITH_TRANSACTION
        if ksr.htable.sht_sets(_PINS, _pin_key(worker, call_id, from_tag), pin) < 0:
            worker.log.line("pins", "no room for pins: CANCEL falls back on bindings")
    if not send(worker, method, hop):
        answers.send(worker, 480, "Temporarily Unavailable")


def send(worker: Worker, method: str, hop: str) -> bool:
    """Send a request whose next hop is set, to the URI `hop`; whether it left, or was an ACK that
    ends here."""
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
    if worker.claimed:
        ksr.tm.t_on_failure("ksr_failure_route")
    return ksr.tm.t_relay() >= 0


def cancel(worker: Worker) -> None:
    """Send a CANCEL where its INVITE went (RFC 3261 16.10)."""
    if not _follow_invite(worker, "CANCEL"):
        answers.send(worker, 481, "Call/Transaction Does Not Exist")


def acknowledge(worker: Worker) -> None:
    """Send the ACK of a refused INVITE where the INVITE went; an ACK is never answered."""
    _follow_invite(worker, "ACK")


def is_pinned(worker: Worker, call_id: str, from_tag: str, *, alone: bool = False) -> bool:
    """Whether this node sent an initial INVITE on that is not answered yet; with `alone`, whether
    it sent it to one target and without a transaction."""
    pin = worker.ksr.htable.sht_get(_PINS, _pin_key(worker, call_id, from_tag))
    if alone:
        return isinstance(pin, str) and not pin.startswith(_WITH_TRANSACTION)
    # Where there is none, Kamailio gives the table's first value, 0.
    return bool(pin)


def pin_transaction(worker: Worker) -> None:
    """Remember that an INVITE went out with a transaction of this node."""
    call_id, from_tag = worker.ksr.kx.get_callid(), worker.ksr.pv.get("$ft") or ""
    worker.ksr.htable.sht_sets(_PINS, _pin_key(worker, call_id, from_tag), _WITH_TRANSACTION)


def unpin(worker: Worker, call_id: str, from_tag: str) -> None:
    """Forget where an INVITE went: it was answered, and can no longer be cancelled."""
    worker.ksr.htable.sht_rm(_PINS, _pin_key(worker, call_id, from_tag))


def prepare_branch(worker: Worker) -> None:
    """Give one branch of a fork its own Record-Route and next hop."""
    index = worker.ksr.tm.t_get_branch_index()
    if not 0 <= index < len(worker.branches):
        return
    target = worker.branches[index]
    call_id = worker.ksr.kx.get_callid()
    if worker.breadths:
        share = worker.breadths[index - len(worker.branches)]
        worker.ksr.hdr.remove("Max-Breadth")
        worker.ksr.hdr.append(f"Max-Breadth: {share}\r\n")
    if worker.record_routed_tag is not None:
        record_route(worker, target, call_id, worker.record_routed_tag)
    _aim(worker, target, call_id, rewrite=False)


def try_next_flow(worker: Worker) -> None:
    """A branch of a fork has failed: if the device has another flow, try that (RFC 5626 5.3)."""
    ksr = worker.ksr
    call_id, from_tag = ksr.kx.get_callid(), ksr.pv.get("$ft") or ""
    key = _pin_key(worker, call_id, from_tag)
    status = ksr.tm.t_get_status_code()
    if status not in FLOW_FAILED:
        ksr.htable.sht_sets(_PINS, f"{key}|said", str(status))
        return
    notes.recall(worker)
    plan = _plan(ksr.htable.sht_get(_PINS, key))
    targets = plan.sent
    index = ksr.tm.t_get_branch_index()
    if not 0 <= index < len(targets) or not targets[index].backups:
        return
    if bulk.is_attempt(targets[index]):
        bulk.remember(worker, targets[index])
        ksr.tm.t_set_fr(0, ANSWER_WITHIN_MS)
    spent = replace(targets[index], backups=())
    following, *backups = targets[index].backups
    following = replace(following, backups=tuple(backups))
    targets = (*targets[:index], spent, *targets[index + 1 :], following)
    _keep(worker, key, fork_plan.Plan(targets, plan.later))
    worker.count(counters.FLOWS_REPLACED)
    ksr.corex.append_branch_uri(following.uri)
    method = ksr.kx.get_method()
    tag = from_tag if method in DIALOG_CREATING else None
    _relay_branches(worker, targets, tag, watched=True)


def end_or_go_on(worker: Worker) -> None:
    """All branches have failed: the next group's turn has come (RFC 3261 16.7 step 6); unless the
    caller gave up, or somebody said that nobody will answer (6xx).

    In the end, what a device said counts more than that a flow had failed.
    """
    ksr = worker.ksr
    key = _pin_key(worker, ksr.kx.get_callid(), ksr.pv.get("$ft") or "")
    status, given_up = ksr.tm.t_get_status_code(), ksr.tm.t_is_canceled() > 0
    if status < DECLINED_FOR_ALL and not given_up and _try_next_group(worker, key):
        return
    claims.release(worker)
    media.refused(worker)
    if status not in FLOW_FAILED or not _plan(ksr.htable.sht_get(_PINS, key)).sent:
        return
    said = ksr.htable.sht_get(_PINS, f"{key}|said")
    status = 487 if given_up else int(said or 480)
    ksr.tm.t_reply(status, _REASONS.get(status, "Call Failed"))


def _try_next_group(worker: Worker, key: str) -> bool:
    """Whether there was one."""
    ksr = worker.ksr
    notes.recall(worker)
    plan = _plan(ksr.htable.sht_get(_PINS, key))
    if not plan.later:
        return False
    group, *later = plan.later
    plan = fork_plan.Plan((*plan.sent, *group), tuple(later))
    _keep(worker, key, plan)
    worker.count(counters.GROUPS_TRIED)
    for target in group:
        ksr.corex.append_branch_uri(target.uri)
    _set_ringing(worker, plan)
    tag = (ksr.pv.get("$ft") or "") if ksr.kx.get_method() in DIALOG_CREATING else None
    return _relay_branches(worker, plan.sent, tag, watched=True, new=len(group))


def _set_ringing(worker: Worker, plan: fork_plan.Plan) -> None:
    """How long the phones may ring that ring now: not for ever, if others wait for their turn."""
    ring_s = worker.settings.config.proxy.ring_s if plan.later else RING_LAST_S
    worker.ksr.tm.t_set_fr(ring_s * 1000, ANSWER_WITHIN_MS)


def _follow_invite(worker: Worker, method: str) -> bool:
    ksr = worker.ksr
    call_id = ksr.kx.get_callid()
    pin = ksr.htable.sht_get(_PINS, _pin_key(worker, call_id, ksr.pv.get("$ft") or ""))
    if isinstance(pin, str) and pin.startswith(_WITH_TRANSACTION):
        if method == "ACK":
            return _absorbed(worker)
        return ksr.tm.t_check_trans() >= 0 and ksr.tm.t_relay() >= 0
    target = _pinned(pin) if isinstance(pin, str) else _current(worker)
    if target is None:
        return False
    return send(worker, method, _aim(worker, target, call_id))


def _pinned(text: str) -> Target | None:
    try:
        return decode_targets(text)[0]
    except (msgspec.MsgspecError, IndexError):
        return None


def _plan(pin: object) -> fork_plan.Plan:
    """What is kept of a fork, if there is anything left to try when a branch of it fails."""
    found = None
    if isinstance(pin, str) and pin.startswith(_WITH_TRANSACTION):
        found = fork_plan.decode(pin.removeprefix(_WITH_TRANSACTION))
    return found or fork_plan.Plan(())


def _keep(worker: Worker, key: str, plan: fork_plan.Plan) -> None:
    worker.ksr.htable.sht_sets(_PINS, key, _WITH_TRANSACTION + fork_plan.encode(plan))


def _current(worker: Worker) -> Target | None:
    """The first target of the Request-URI as things are now; None for elsewhere, as nobody has
    proved that the farm sent the INVITE there."""
    kx = worker.ksr.kx
    user = kx.get_ruser()
    if not user or (kx.get_rhost() or "").lower() not in worker.settings.own_hosts:
        return None
    found = location.find(worker, address_of_record(user, worker.settings.farm))
    return None if found is None or isinstance(found, Reach) else found[0]


def _aim(worker: Worker, target: Target, call_id: str, *, rewrite: bool = True) -> str:
    """Set Request-URI and next hop; the URI of that hop."""
    if rewrite:
        worker.ksr.seturi(target.uri)
    return flows.reach(worker, target, call_id, answered=bool(target.backups)) or target.uri


def record_route(
    worker: Worker,
    target: Target,
    call_id: str,
    from_tag: str,
    trunk: str = "",
    routed: str = "",
) -> None:
    """Write the farm's Record-Route; `trunk` is the one that the call goes to, `routed` the
    Request-URI it goes with, if that is not the target's."""
    ksr, settings = worker.ksr, worker.settings
    if not trunk:
        came_from = worker.shown.table().from_source(ksr.kx.get_srcip())
        trunk = came_from.name if came_from else ""
    caller = flows.incoming(worker, fields.text(worker, "$ct"))
    callee = route_token.flow_of(target.owner, target.received) if target.received else None
    rest = route_token.record_route(settings.route_key, call_id, from_tag, caller, callee, trunk)
    rest += session.parameter(worker) + media.parameter(worker)
    note = notes.parameter(worker, call_id, from_tag, routed or target.uri)
    came_on = "udp" if ksr.is_UDP() else ksr.kx.get_proto()
    goes_on = callee.protocol if callee else sip_uri.protocol_of(target.path, target.uri)
    host, parameters = settings.route_end(came_on)
    text = f"<sip:{host};lr;{rest}{note}{parameters}>"
    if came_on != goes_on:
        text = _two_ends(settings, rest, note, goes_on, came_on)
    ksr.hdr.insert(f"Record-Route: {text}\r\n")


def _two_ends(settings: Settings, rest: str, note: str, callees: str, callers: str) -> str:
    """A Record-Route for each side, the callee's first: each is to send on its own transport (RFC
    5658). Kamailio takes both away at once, by `r2`. One note is enough."""
    ends = ((settings.route_end(callees), rest), (settings.route_end(callers), rest + note))
    return ", ".join(f"<sip:{host};lr;{said}{more};r2=on>" for (host, more), said in ends)


def _fork(
    worker: Worker, method: str, targets: tuple[Target, ...], dialog: tuple[str, str] | None
) -> None:
    ksr = worker.ksr
    multiplies = len(targets) > 1 or not bulk.is_attempt(targets[0])
    if multiplies and ksr.pv.get("$hdrc(Via)") > VIAS_OF_A_FORK_MAX:
        answers.send(worker, 482, "Loop Detected")
        return
    if ksr.tm.t_check_trans() == 0:
        return
    notes.keep(worker)
    first, *later = fork_plan.groups(targets)
    plan = fork_plan.Plan(first, tuple(later))
    targets = plan.sent
    if not fork_plan.shares(_breadth(worker), len(targets)):
        answers.send(worker, 440, "Max-Breadth Exceeded")
        return
    if method == "INVITE" or plan.watched:
        key = _pin_key(worker, ksr.kx.get_callid(), ksr.pv.get("$ft") or "")
        if plan.watched:
            _keep(worker, key, plan)
        else:
            ksr.htable.sht_sets(_PINS, key, _WITH_TRANSACTION)
    if plan.later:
        _set_ringing(worker, plan)
    ksr.seturi(targets[0].uri)
    for target in targets[1:]:
        ksr.corex.append_branch_uri(target.uri)
    tag = dialog[1] if dialog else None
    if any(map(bulk.is_attempt, targets)):
        ksr.tm.t_set_fr(0, bulk.WAIT_MS)
    sent = _relay_branches(worker, targets, tag, watched=plan.watched, new=len(targets))
    if not sent and len(targets) == 1 and bulk.is_attempt(targets[0]):
        bulk.remember(worker, targets[0])
        (second,) = targets[0].backups
        ksr.tm.t_set_fr(0, ANSWER_WITHIN_MS)
        ksr.seturi(second.uri)
        # What could not be sent was a branch, so this is the transaction's second one.
        sent = _relay_branches(worker, (targets[0], second), tag, watched=False)
    worker.count(counters.TRANSACTIONS)
    if not sent:
        answers.send(worker, 480, "Temporarily Unavailable")


def _breadth(worker: Worker) -> int:
    return fork_plan.breadth(worker.ksr.hdr.get_idx("Max-Breadth", 0))


def _relay_branches(
    worker: Worker,
    targets: tuple[Target, ...],
    record_routed_tag: str | None,
    *,
    watched: bool,
    new: int = 1,
) -> bool:
    """Send the branches that are new, the last of the targets; `watched`: tell of those that fail.
    Kamailio forgets that whenever it has told."""
    ksr = worker.ksr
    ksr.tm.t_on_branch("ksr_branch_route")
    if watched:
        ksr.tm.t_on_branch_failure("ksr_branch_failure_route")
    if watched or worker.claimed:
        ksr.tm.t_on_failure("ksr_failure_route")
    worker.branches = targets
    worker.record_routed_tag = record_routed_tag
    worker.breadths = fork_plan.shares(_breadth(worker), new)
    try:
        return ksr.tm.t_relay() >= 0
    finally:
        worker.branches = ()


def _forward(worker: Worker) -> bool:
    if worker.ksr.forward() < 0:
        worker.count(counters.FORWARD_FAILED)
        worker.log.line("forward", "a next hop could not be resolved or reached")
        return False
    return True


def _absorbed(worker: Worker) -> bool:
    """Whether this ACK was for a refusal that a transaction of this node had passed on."""
    return worker.ksr.tm.t_check_trans() == 0


def _pin_key(worker: Worker, call_id: str, from_tag: str) -> str:
    return fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
