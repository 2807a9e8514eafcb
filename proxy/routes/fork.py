"""Sends a request to several targets, or to a device that has several flows (RFC 3261 16.7).

In: an initial request and its targets; later, from Kamailio's transaction, each branch before it
leaves, each branch that failed, and the failure of all. Out: the branches, the next flow or the
next group of targets, or the answer for the caller. Counterparts: `proxy/fork_plan.py` has the
order; `pins.py` keeps what is left of it, as another worker may hear of the failure.
"""

from typing import Final

from msgspec.structs import replace

from overlay.records.targets import Target
from proxy import counters, fork_plan
from proxy.fork_plan import ForkPlan
from proxy.routes import (
    claims,
    fields,
    flows,
    large_requests,
    media,
    notes,
    pins,
    record_route,
    responses,
)
from proxy.worker import Worker

VIAS_MAX: Final = 6
"""A fork with more Vias, its caller's own included, is likely a loop, and each round would multiply
it (RFC 5393)."""
ANSWER_WITHIN_MS: Final = 8_000
"""How long a transaction waits for any answer; kamailio.cfg has the same value."""
_RING_LAST_S: Final = 180
"""How long the last group of phones may ring; kamailio.cfg has the same value."""
_FLOW_FAILED: Final = frozenset({408, 430, 477})
"""Answers after which the device's next flow is tried: those of the timer, of the flow's owner, and
of Kamailio when it could not send."""
_DECLINED_FOR_ALL: Final = 600
"""From here on, an answer is for the address-of-record and not for one device."""
_REASONS: Final = {
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    600: "Busy Everywhere",
    603: "Decline",
}
"""Reasons for answers that the farm gives in a device's place: Kamailio does not show the reason
that the device gave."""


def send(
    worker: Worker, method: str, targets: tuple[Target, ...], record_routed_tag: str | None
) -> None:
    """Send an initial request to all targets of the first group; if that fails, it is answered.

    `record_routed_tag` is the From tag to write a Record-Route with; None for no Record-Route.
    """
    ksr = worker.ksr
    multiplies = len(targets) > 1 or not large_requests.is_tcp_attempt(targets[0])
    if multiplies and ksr.pv.get("$hdrc(Via)") > VIAS_MAX:
        responses.send(worker, 482, "Loop Detected")
        return
    if ksr.tm.t_check_trans() == 0:
        # Kamailio has answered the retransmission.
        return
    notes.keep_caller(worker)
    first, *later = fork_plan.groups(targets)
    plan = ForkPlan(first, tuple(later))
    if not fork_plan.shares(_breadth(worker), len(first)):
        responses.send(worker, 440, "Max-Breadth Exceeded")
        return
    if plan.watched:
        pins.keep_plan(worker, fields.transaction_key(worker), plan)
    elif method == "INVITE":
        pins.pin_transaction(worker)
    if plan.later:
        _set_ringing(worker, plan)
    ksr.seturi(first[0].uri)
    for target in first[1:]:
        ksr.corex.append_branch_uri(target.uri)
    if any(map(large_requests.is_tcp_attempt, first)):
        ksr.tm.t_set_fr(0, large_requests.WAIT_MS)
    sent = _relay_branches(worker, first, record_routed_tag, watched=plan.watched, new=len(first))
    if not sent and len(first) == 1 and large_requests.is_tcp_attempt(first[0]):
        sent = _send_over_udp(worker, first[0], record_routed_tag)
    worker.count(counters.TRANSACTIONS)
    if not sent:
        responses.send(worker, 480, "Temporarily Unavailable")


def _send_over_udp(worker: Worker, attempt: Target, record_routed_tag: str | None) -> bool:
    """Whether a large request left over UDP, after no connection could be opened for it."""
    large_requests.remember_deaf(worker, attempt)
    (second,) = attempt.backups
    worker.ksr.tm.t_set_fr(0, ANSWER_WITHIN_MS)
    worker.ksr.seturi(second.uri)
    # The attempt that could not be sent was a branch, so this is the transaction's second one.
    return _relay_branches(worker, (attempt, second), record_routed_tag, watched=False)


def prepare_branch(worker: Worker) -> None:
    """Give one branch, before it leaves, its own Max-Breadth, Record-Route and next hop."""
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
        record_route.insert(worker, target, call_id, worker.record_routed_tag)
    flows.aim_at_target(worker, target, call_id, answered=bool(target.backups))


def try_next_flow(worker: Worker) -> None:
    """A branch has failed: if its device has another flow, try that (RFC 5626 5.3)."""
    ksr = worker.ksr
    key = fields.transaction_key(worker)
    status = ksr.tm.t_get_status_code()
    if status not in _FLOW_FAILED:
        pins.keep_refusal(worker, key, status)
        return
    notes.recall_caller(worker)
    plan = pins.plan(worker, key)
    targets = plan.sent
    index = ksr.tm.t_get_branch_index()
    if not 0 <= index < len(targets) or not targets[index].backups:
        return
    if large_requests.is_tcp_attempt(targets[index]):
        large_requests.remember_deaf(worker, targets[index])
        ksr.tm.t_set_fr(0, ANSWER_WITHIN_MS)
    spent = replace(targets[index], backups=())
    following, *backups = targets[index].backups
    following = replace(following, backups=tuple(backups))
    targets = (*targets[:index], spent, *targets[index + 1 :], following)
    pins.keep_plan(worker, key, ForkPlan(targets, plan.later))
    worker.count(counters.FLOWS_REPLACED)
    ksr.corex.append_branch_uri(following.uri)
    _relay_branches(worker, targets, _tag_to_record_route(worker), watched=True)


def end_or_try_next_group(worker: Worker) -> None:
    """All branches have failed: the next group's turn has come (RFC 3261 16.7 step 6), unless the
    caller gave up, or a device said that nobody will answer (6xx).

    When no group is left, the caller gets the answer of a device, if there was one, and not the
    failure of a flow.
    """
    ksr = worker.ksr
    key = fields.transaction_key(worker)
    status, given_up = ksr.tm.t_get_status_code(), ksr.tm.t_is_canceled() > 0
    if status < _DECLINED_FOR_ALL and not given_up and _try_next_group(worker, key):
        return
    claims.release(worker)
    media.refused(worker)
    if status not in _FLOW_FAILED or not pins.plan(worker, key).sent:
        return
    status = 487 if given_up else pins.refusal(worker, key) or 480
    ksr.tm.t_reply(status, _REASONS.get(status, "Call Failed"))


def _try_next_group(worker: Worker, key: str) -> bool:
    """Whether there was a next group, and the request left for it."""
    notes.recall_caller(worker)
    plan = pins.plan(worker, key)
    if not plan.later:
        return False
    group, *later = plan.later
    plan = ForkPlan((*plan.sent, *group), tuple(later))
    pins.keep_plan(worker, key, plan)
    worker.count(counters.GROUPS_TRIED)
    for target in group:
        worker.ksr.corex.append_branch_uri(target.uri)
    _set_ringing(worker, plan)
    tag = _tag_to_record_route(worker)
    return _relay_branches(worker, plan.sent, tag, watched=True, new=len(group))


def _tag_to_record_route(worker: Worker) -> str | None:
    """The From tag of a request that creates a dialog; None for any other."""
    if worker.ksr.kx.get_method() not in record_route.DIALOG_CREATING:
        return None
    return worker.ksr.pv.get("$ft") or ""


def _set_ringing(worker: Worker, plan: ForkPlan) -> None:
    """Limit how long the phones of this group ring, to `ring_s` if another group waits for its
    turn."""
    ring_s = worker.settings.config.proxy.ring_s if plan.later else _RING_LAST_S
    worker.ksr.tm.t_set_fr(ring_s * 1000, ANSWER_WITHIN_MS)


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
    """Whether the new branches, the last `new` of the targets, left. With `watched`, Kamailio calls
    `try_next_flow` for each branch that fails; it must be asked for this anew whenever it has."""
    ksr = worker.ksr
    ksr.tm.t_on_branch("ksr_branch_route")
    if watched:
        ksr.tm.t_on_branch_failure("ksr_branch_failure_route")
    if watched or worker.call_claimed:
        ksr.tm.t_on_failure("ksr_failure_route")
    worker.branches = targets
    worker.record_routed_tag = record_routed_tag
    worker.breadths = fork_plan.shares(_breadth(worker), new)
    try:
        return ksr.tm.t_relay() >= 0
    finally:
        worker.branches = ()
