"""Keeps to what the operator lets a subscriber do (`overlay.records.subscriber.Policy`).

In: a request whose sender has proved to be a subscriber. Out: whether it may go on; if not, it is
answered, with a Warning that tells the reason (RFC 3261 20.43). Counterpart: `sipfarm subscriber
set`.
"""

from typing import Final

from overlay.records.names import address_of_record
from overlay.records.subscriber import Policy
from proxy import counters
from proxy.routes import claims, fields, responses
from proxy.worker import Worker

_RATES: Final = "rates"
_CALLING: Final = frozenset({"INVITE", "MESSAGE", "REFER"})


def pass_block(worker: Worker, policy: Policy) -> bool:
    """Whether the subscriber may use the farm at all."""
    if not policy.blocked:
        return True
    worker.count(counters.POLICY_BLOCKED)
    responses.warned(worker, 403, "Forbidden", "The subscriber is blocked")
    return False


def pass_call(worker: Worker, aor: str, policy: Policy, method: str, *, repeated: bool) -> bool:
    """Whether the subscriber may send this initial request to its destination. `repeated` says that
    it is the retransmission of a request that passed, so that it does not count again."""
    if policy.destinations and method in _CALLING and not _may_reach(worker, policy):
        worker.count(counters.POLICY_DESTINATIONS)
        responses.warned(worker, 403, "Forbidden", "The subscriber may not call this destination")
        return False
    if method != "INVITE":
        return True
    return (repeated or _keeps_to_rate(worker, aor, policy)) and _keeps_to_number(
        worker, aor, policy, repeated=repeated
    )


def _keeps_to_rate(worker: Worker, aor: str, policy: Policy) -> bool:
    most = policy.calls_per_second_max
    if not most:
        return True
    key = fields.fixed_key(aor, str(int(worker.clock())))
    if worker.ksr.htable.sht_inc(_RATES, key) <= most:
        return True
    worker.count(counters.POLICY_RATES)
    worker.ksr.hdr.append_to_reply("Retry-After: 1\r\n")
    responses.warned(
        worker, 503, "Service Unavailable", "Too many calls of the subscriber a second"
    )
    return False


def _keeps_to_number(worker: Worker, aor: str, policy: Policy, *, repeated: bool) -> bool:
    """Whether the subscriber has no more calls than it may have at a time.

    The refusal is 403. On a 503 phones would try the other nodes. A 486 says that the callee is
    busy, and some phones then call back by themselves (RFC 6910).
    """
    most = policy.calls_max
    if not most or claims.granted(worker, aor, most, repeated=repeated):
        return True
    worker.count(counters.POLICY_CALLS)
    responses.warned(worker, 403, "Forbidden", "Too many calls of the subscriber at a time")
    return False


def _may_reach(worker: Worker, policy: Policy) -> bool:
    kx, settings = worker.ksr.kx, worker.settings
    host = (kx.get_rhost() or "").lower()
    domain = settings.farm if host in settings.own_hosts else host
    destination = address_of_record(kx.get_ruser() or "", domain)
    if destination.startswith(policy.destinations):
        return True
    number = worker.shown.table().number_of(kx.get_ruser() or "")
    return bool(number) and number.startswith(policy.destinations)
