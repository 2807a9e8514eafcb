"""Refuses new requests while the node is behind, so that those that it takes are served in time.

In: a request outside of any dialog, before anything has been done for it. Out: whether to go on; if
not, it is answered 503 with a random Retry-After (RFC 3261 21.5.4). Counterpart: `proxy/load.py`.

What belongs to a dialog, what ends or acknowledges something, replies and emergency calls never
come here. REGISTER, and whoever answers a challenge, is refused only when every other new request
is: a phone that is not registered cannot be called, and the other's first half is paid for.
"""

from hashlib import blake2b
from typing import Final

from proxy import counters
from proxy.routes import auth, pins, responses, trunks
from proxy.worker import Worker

SAME_FOR_S: Final = 32
"""A request that was taken is taken again when its client repeats it (64 * T1), unless it has got
worse; after that it is another's turn."""
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
    # In this order, as what is refused must cost as little as possible. What goes before the rest
    # loses its first where the rest has lost all.
    of_all = place < 2.0 * share - 1.0
    if not of_all and (method == "REGISTER" or auth.has_credentials(worker)):
        return True
    if trunks.emergency(worker):
        return True
    if method == "INVITE" and pins.is_pinned(worker, call_id, worker.ksr.pv.get("$ft") or ""):
        # It rings already.
        return True
    worker.count(counters.SHED)
    responses.retry_later(worker)
    return False


def place_of(call_id: str, now_s: float) -> float:
    """Where a call stands among all, 0 to 1: those are refused first that stand first."""
    text = f"{call_id} {int(now_s / SAME_FOR_S)}"
    # Not a CRC: that of the same text with another number is as large or small as before.
    place = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_PLACE_BYTES).digest()
    return int.from_bytes(place, "big") / (1 << 8 * _PLACE_BYTES)
