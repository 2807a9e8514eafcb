"""Calls to carriers: one gateway after the other, with the farm's credentials.

In: an initial request of a subscriber, with the gateways that may take it; failures of requests
that were sent to one. Out: the request at a gateway, at the next one, or the answer for the caller.
Counterpart: `proxy/trunk_choice.py` decides.

A call to a trunk has a transaction, as only with one can the node try the next gateway and answer a
carrier's challenge. The transaction also keeps the gateways that are left to try.
"""

from typing import Final

import msgspec

from overlay.records.settings import Trunk
from overlay.records.targets import Target
from proxy import counters
from proxy.routes import claims, fork, media, notes, pins, record_route, responses
from proxy.trunk_choice import GatewayTarget, TrunkTable
from proxy.worker import Worker

METHODS: Final = frozenset({"INVITE", "MESSAGE"})
"""Requests that may leave for a number."""
ANSWER_WITHIN_MS: Final = 4_000
"""How long a gateway may give no answer at all before the next one is tried."""
RING_LAST_MS: Final = 180_000
"""How long the callee may ring."""
NO_SERVICE: Final = frozenset({408, 430, 477, 478, 503})
"""Answers after which the next gateway is tried: that of the timer, those of Kamailio when it could
not send, and those by which a gateway says that it cannot serve."""
_CHALLENGES: Final = frozenset({401, 407})
_CALLEES_WORD: Final = frozenset({486, 487})
"""Answers that end even an emergency call: somebody was reached, or the caller gave up."""
_PLAN: Final = "$avp(trunk_plan)"


class TrunkPlan(msgspec.Struct, frozen=True, array_like=True):
    """The gateways of a transaction: the one that has the request, and those that are left to
    try."""

    current: GatewayTarget
    later: tuple[GatewayTarget, ...] = ()
    emergency: bool = False
    challenge_answered: bool = False
    """Whether the current gateway's challenge was answered."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TrunkPlan)


def source(worker: Worker) -> Trunk | None:
    """The trunk whose carrier sent the request, by its source address; None if no carrier did."""
    table: TrunkTable = worker.shown.table()
    return table.from_source(worker.ksr.kx.get_srcip()) if table.knows_sources else None


def dialled_user(worker: Worker) -> str:
    """The number or name in the Request-URI."""
    kx = worker.ksr.kx
    uri = kx.get_ruri() or ""
    if uri[:4].lower() == "tel:":
        return uri[4:]
    return kx.get_ruser() or ""


def emergency(worker: Worker) -> str:
    """The emergency number that the request is for. It is empty for any other request, and if no
    trunk takes emergency calls."""
    table: TrunkTable = worker.shown.table()
    kx = worker.ksr.kx
    if not table.settings.emergency.trunks or kx.get_method() not in METHODS:
        return ""
    return table.emergency(kx.get_ruri() or "", dialled_user(worker))


def number_targets(worker: Worker, number: str) -> tuple[GatewayTarget, ...]:
    """The gateways for a number in E.164; empty if no trunk has a prefix of it."""
    table: TrunkTable = worker.shown.table()
    found = table.to_number(number)
    return table.number_targets(found[0], number, worker.ksr.kx.get_callid()) if found else ()


def domain_targets(worker: Worker) -> tuple[GatewayTarget, ...]:
    """The gateways for a Request-URI whose host is a domain of a trunk; empty if it is not."""
    kx = worker.ksr.kx
    table: TrunkTable = worker.shown.table()
    trunk = table.by_domain.get((kx.get_rhost() or "").lower())
    return table.domain_targets(trunk, kx.get_ruri() or "", kx.get_callid()) if trunk else ()


def send(
    worker: Worker, method: str, targets: tuple[GatewayTarget, ...], *, emergency: bool = False
) -> None:
    """Send an initial request to the first gateway that can be reached."""
    ksr = worker.ksr
    if ksr.pv.get("$hdrc(Via)") > fork.VIAS_MAX:
        responses.send(worker, 482, "Loop Detected")
        return
    if ksr.tm.t_check_trans() == 0:
        return
    if method == "INVITE":
        if not media.pass_initial_offer(worker, "udp"):
            return
        pins.pin_transaction(worker)
    notes.keep_caller(worker)
    worker.count(counters.TRUNK_CALLS)
    if emergency:
        worker.count(counters.EMERGENCY_CALLS)
    if not _try(worker, TrunkPlan(targets[0], targets[1:], emergency)):
        responses.send(worker, 500, "No Gateway Can Be Reached")


def prepare_branch(worker: Worker) -> None:
    """Insert the farm's Record-Route into a request that goes to a gateway."""
    target, ksr = worker.gateway_target, worker.ksr
    if target is None or ksr.kx.get_method() not in record_route.DIALOG_CREATING:
        return
    call_id, from_tag = ksr.kx.get_callid(), ksr.pv.get("$ft") or ""
    record_route.insert(worker, Target(uri=target.hop), call_id, from_tag, target.trunk, target.uri)


def try_next_gateway(worker: Worker) -> None:
    """A gateway has failed or refused: answer its challenge, try the next one, or tell the
    caller."""
    ksr = worker.ksr
    if ksr.tm.t_is_canceled() > 0:
        claims.release(worker)
        media.refused(worker)
        return
    notes.recall_caller(worker)
    plan = _decoder.decode(ksr.pv.get(_PLAN) or "")
    status = ksr.tm.t_get_status_code()
    if status in _CHALLENGES and not plan.challenge_answered and _answer_challenge(worker, plan):
        return
    # It rang for as long as it may: the gateway works, and nobody answers.
    rang = status == 408 and ksr.tm.t_branch_timeout() > 0 and ksr.tm.t_branch_replied() > 0
    if plan.later and not rang and _is_for_another(plan, status):
        worker.count(counters.GATEWAYS_FAILED)
        following = TrunkPlan(plan.later[0], plan.later[1:], plan.emergency)
        if _try(worker, following):
            return
    claims.release(worker)
    media.refused(worker)
    if status in _CHALLENGES:
        # The carrier's challenge is for the farm; the caller could not answer it.
        worker.count(counters.TRUNKS_REFUSED)
        ksr.tm.t_reply(502, "Carrier Refused Credentials")
    elif status == 503:
        # To the caller a 503 would mean that the farm cannot serve (RFC 3261 16.7 step 6).
        ksr.tm.t_reply(500, "Carrier Unavailable")


def _is_for_another(plan: TrunkPlan, status: int) -> bool:
    """Whether the next gateway is to be tried after this answer."""
    if status in NO_SERVICE:
        return True
    return plan.emergency and status < 600 and status not in _CALLEES_WORD


def _try(worker: Worker, plan: TrunkPlan) -> bool:
    """Send to the current gateway, or else to the first later one that can be sent to; whether it
    left."""
    while True:
        worker.ksr.seturi(plan.current.uri)
        if _relay(worker, plan):
            return True
        worker.count(counters.GATEWAYS_FAILED)
        if not plan.later:
            return False
        plan = TrunkPlan(plan.later[0], plan.later[1:], plan.emergency)


def _answer_challenge(worker: Worker, plan: TrunkPlan) -> bool:
    """Whether the request went out again, with an answer to the carrier's challenge."""
    ksr = worker.ksr
    trunk = worker.shown.table().settings.trunk(plan.current.trunk)
    if trunk is None or not trunk.username:
        return False
    ksr.pv.sets("$avp(trunk_user)", trunk.username)
    ksr.pv.sets("$avp(trunk_password)", trunk.password)
    if ksr.uac.uac_auth() < 0:
        return False
    ksr.pv.sets("$avp(trunk_password)", "")
    return _relay(worker, msgspec.structs.replace(plan, challenge_answered=True))


def _relay(worker: Worker, plan: TrunkPlan) -> bool:
    ksr = worker.ksr
    ksr.pv.sets(_PLAN, _encoder.encode(plan).decode())
    ksr.setdsturi(plan.current.hop)
    ksr.tm.t_set_fr(RING_LAST_MS, ANSWER_WITHIN_MS)
    ksr.tm.t_on_branch("ksr_trunk_branch_route")
    ksr.tm.t_on_failure("ksr_trunk_failure_route")
    worker.gateway_target = plan.current
    try:
        return ksr.tm.t_relay() >= 0
    finally:
        worker.gateway_target = None
