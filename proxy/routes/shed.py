"""Refuses new requests while the node is behind, so that it serves in time those that it takes.

In: a request outside of any dialog, before anything was done for it. Out: whether to go on; if not,
it is answered 503 with a random Retry-After (RFC 3261 21.5.4). Counterpart: `proxy/load.py`.

Requests in dialogs, requests that end or acknowledge something, replies and emergency calls never
come here. A REGISTER, and a request that answers a challenge, is refused only when every other new
request is: a phone that is not registered cannot be called, and the work for the challenge is
already done.
"""

from hashlib import blake2b
from typing import Final

from proxy import counters
from proxy.routes import auth, pins, responses, trunks
from proxy.worker import Worker

SAME_FOR_S: Final = 32
"""For so long a request that was taken is taken again when its client repeats it (64 * T1), unless
the node has fallen further behind. After that, other requests have their turn."""
_PLACE_BYTES: Final = 2


def pass_load(worker: Worker, method: str) -> bool:
    """Whether the node has time for the request."""
    share = worker.load.share()
    if not share:
        return True
    call_id = worker.ksr.kx.get_callid()
    place = place_of(call_id, worker.clock())
    if place >= 2.0 * share:
        return True
    # The cheapest check comes first, as a refusal must cost as little as possible. Up to a share of
    # a half, only the ordinary requests are refused, twice the share of them; from there on, they
    # all are, and the preferred ones as well, more and more of them.
    of_all = place < 2.0 * share - 1.0
    if not of_all and (method == "REGISTER" or auth.has_credentials(worker)):
        return True
    if trunks.emergency(worker):
        return True
    if method == "INVITE" and pins.is_pinned(worker, call_id, worker.ksr.pv.get("$ft") or ""):
        # A retransmission of a call that rings already.
        return True
    worker.count(counters.SHED)
    responses.retry_later(worker)
    return False


def place_of(call_id: str, now_s: float) -> float:
    """The place of a call among all calls, 0 to 1. The calls with the lowest places are refused
    first."""
    text = f"{call_id} {int(now_s / SAME_FOR_S)}"
    # A CRC would not do: with another number at its end, a text keeps about the same place.
    place = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_PLACE_BYTES).digest()
    return int.from_bytes(place, "big") / (1 << 8 * _PLACE_BYTES)
