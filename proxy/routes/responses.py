"""Answers that the proxy gives itself.

In: a request that goes no further. Out: a stateless reply, or silence. Kamailio never answers an
ACK, so nothing here asks for the method.
"""

import random
from typing import Final

from proxy import counters
from proxy.routes import claims
from proxy.worker import Worker

RETRY_AFTER_S: Final = (1, 5)
"""Bounds of the random Retry-After, so that clients do not come back all at once."""


def send(worker: Worker, code: int, reason: str) -> None:
    """A final reply."""
    if worker.call_claimed and code >= 300:
        claims.release(worker)
    worker.ksr.sl.sl_send_reply(code, reason)


def warned(worker: Worker, code: int, reason: str, warning: str, number: int = 399) -> None:
    """A final reply with a Warning (RFC 3261 20.43) that tells people why."""
    worker.ksr.hdr.append_to_reply(f'Warning: {number} {worker.settings.farm} "{warning}"\r\n')
    send(worker, code, reason)


def unavailable(worker: Worker) -> None:
    """No answer in time: silence on UDP, as the retransmission may find it; else 503."""
    if worker.ksr.is_UDP():
        worker.count(counters.DROPPED_FOR_RETRY)
        return
    retry_later(worker)


def retry_later(worker: Worker) -> None:
    """503 with a Retry-After (RFC 3261 21.5.4)."""
    least_s, most_s = RETRY_AFTER_S
    after_s = least_s + int(random.random() * (most_s - least_s + 1))
    worker.ksr.hdr.append_to_reply(f"Retry-After: {after_s}\r\n")
    send(worker, 503, "Service Unavailable")


def malformed(worker: Worker) -> None:
    """400 for what is not UTF-8 where RFC 3261 7 wants it."""
    worker.count(counters.MALFORMED)
    send(worker, 400, "Bad Request")
