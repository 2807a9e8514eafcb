"""Responses that the proxy gives itself.

In: a request that goes no further. Out: a stateless reply, or silence. Kamailio never answers an
ACK, so nothing here asks for the method.
"""

import random
from typing import Final

from proxy import counters
from proxy.routes import claims
from proxy.worker import Worker

RETRY_AFTER_S: Final = (1, 5)
"""Bounds of the random Retry-After, so that clients do not all come back at once."""


def send(worker: Worker, code: int, reason: str) -> None:
    """Send a final reply, and release the call if the request had claimed one (`claims.py`)."""
    if worker.call_claimed and code >= 300:
        claims.release(worker)
    worker.ksr.sl.sl_send_reply(code, reason)


def warned(worker: Worker, code: int, reason: str, warning: str, number: int = 399) -> None:
    """Send a final reply with a Warning that tells people the reason (RFC 3261 20.43)."""
    worker.ksr.hdr.append_to_reply(f'Warning: {number} {worker.settings.farm} "{warning}"\r\n')
    send(worker, code, reason)


def unavailable(worker: Worker) -> None:
    """The daemon gave no answer in time: silence on UDP, as the answer may be there when the phone
    retransmits the request; 503 on a connection."""
    if worker.ksr.is_UDP():
        worker.count(counters.DROPPED_FOR_RETRY)
        return
    retry_later(worker)


def retry_later(worker: Worker) -> None:
    """Send 503 with a Retry-After (RFC 3261 21.5.4)."""
    least_s, most_s = RETRY_AFTER_S
    after_s = least_s + int(random.random() * (most_s - least_s + 1))
    worker.ksr.hdr.append_to_reply(f"Retry-After: {after_s}\r\n")
    send(worker, 503, "Service Unavailable")
