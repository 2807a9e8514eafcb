"""What a request must pass before anything is done for it.

In: a request as it came. Out: whether to go on; if not, it is answered or dropped already.
"""

from typing import Final

from overlay.limits import HEADER_CHARS_MAX
from proxy import counters
from proxy.routes import answers, fields
from proxy.worker import Worker

HOPS_MAX: Final = 70
"""Max-Forwards of a request that has none (RFC 3261 16.6 step 3)."""
_MESSAGE_CHECKS: Final = 2023
"""Kamailio's sanity bits: versions, R-URI, required headers, CSeq, lengths, Expires,
Proxy-Require."""
_URI_CHECKS: Final = 7
"""R-URI, From and To can be parsed."""
_SCANNERS: Final = (
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sundayddr",
    "pplsip",
)


def pass_hops(worker: Worker) -> bool:
    """Whether the request has hops left (RFC 3261 16.3 step 3)."""
    hops = worker.ksr.maxfwd.process_maxfwd(HOPS_MAX)
    if hops > 0:
        return True
    if hops == -1:
        answers.send(worker, 483, "Too Many Hops")
    else:
        answers.malformed(worker)
    return False


def pass_form(worker: Worker) -> bool:
    """Whether a request that belongs to no dialog is well formed. Inside a dialog that the farm
    let pass, the phones may tell each other what they like."""
    ksr = worker.ksr
    if ksr.sanity.sanity_check(_MESSAGE_CHECKS, _URI_CHECKS) < 0:
        worker.count(counters.MALFORMED)
        return False
    if len(ksr.kx.get_callid()) > HEADER_CHARS_MAX:
        answers.malformed(worker)
        return False
    return True


def is_moderate(worker: Worker) -> bool:
    """Whether the sender's address sends no more than one may. Answering who floods would help him:
    what is too much is dropped, and is heard again as soon as it is less."""
    settings, ksr = worker.settings, worker.ksr
    if not settings.config.proxy.source_requests_per_s_max or settings.trusts(ksr.kx.get_srcip()):
        return True
    return ksr.pike.pike_check_req() >= 0


def pass_sender(worker: Worker) -> bool:
    """Whether the sender does not call itself a scanner; one that does gets no answer."""
    agent = fields.user_agent(worker).lower()
    for scanner in _SCANNERS:
        if scanner in agent:
            worker.count(counters.SCANNERS)
            return False
    return True
