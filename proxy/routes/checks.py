"""The checks that a request must pass before anything is done for it.

In: a request as it came. Out: whether to go on; if not, the request is already answered or dropped.
"""

import re
from typing import Final

from overlay.base.limits import HEADER_CHARS_MAX
from proxy import counters
from proxy.routes import fields, responses
from proxy.worker import Worker

HOPS_MAX: Final = 70
"""Max-Forwards for a request that has none (RFC 3261 16.6 step 3)."""
_MESSAGE_CHECKS: Final = 1639
"""Kamailio's sanity bits for versions, Request-URI, required header fields, CSeq and Proxy-Require.
The bit for Content-Length is left out: Kamailio refuses a body that is longer, which RFC 3261 18.3
wants cut off. So is the bit for Expires: a time that is too long is to be shortened (20.19)."""
_URI_CHECKS: Final = 7
"""Kamailio's sanity bits: Request-URI, From and To can be parsed."""
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SCHEMES: Final = frozenset({"sip", "sips", "tel", "urn"})
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
        refuse_stranger(worker, 483, "Too Many Hops")
    else:
        refuse_malformed(worker)
    return False


def pass_form(worker: Worker) -> bool:
    """Whether a request outside of dialogs is well formed. Inside a dialog that the farm let pass,
    phones may send each other what they like."""
    ksr = worker.ksr
    if ksr.kx.get_ruri() is None and _is_of_unknown_scheme(worker):
        worker.count(counters.MALFORMED)
        responses.send(worker, 416, "Unsupported URI Scheme")
        return False
    if ksr.sanity.sanity_check(_MESSAGE_CHECKS, _URI_CHECKS) < 0:
        worker.count(counters.MALFORMED)
        return False
    if len(ksr.kx.get_callid()) > HEADER_CHARS_MAX or (ksr.is_UDP() and not _is_whole(worker)):
        worker.count(counters.MALFORMED)
        responses.send(worker, 400, "Bad Request")
        return False
    return True


def refuse_stranger(worker: Worker, code: int, reason: str) -> None:
    """Answer a request whose sender is not known yet, unless that sender's address floods."""
    if is_moderate(worker):
        responses.send(worker, code, reason)
    else:
        worker.count(counters.FLOODS)


def refuse_malformed(worker: Worker) -> None:
    """Answer a request 400 that breaks the grammar, or has bytes that are not UTF-8 where RFC 3261
    7 wants UTF-8, unless its sender's address floods."""
    worker.count(counters.MALFORMED)
    refuse_stranger(worker, 400, "Bad Request")


def _is_of_unknown_scheme(worker: Worker) -> bool:
    """Whether Kamailio cannot read the Request-URI because the farm does not know its scheme."""
    first_line = worker.ksr.pv.get("$(mb{line.at,0})") or ""
    scheme = _SCHEME.match(first_line.partition(" ")[2])
    return scheme is not None and scheme[1].lower() not in _SCHEMES


def _is_whole(worker: Worker) -> bool:
    """Whether the datagram has all of the body that it promises (RFC 3261 18.3)."""
    get = worker.ksr.pv.get
    promised = get("$cl")
    return promised is None or int(promised) <= int(get("$bs") or 0)


def is_moderate(worker: Worker) -> bool:
    """Whether the sender's address keeps to the rate that one address may send at. A flood is
    dropped without an answer, as answers would help its sender; requests are heard again as soon as
    the rate is lower."""
    settings, ksr = worker.settings, worker.ksr
    if not settings.config.proxy.source_requests_per_s_max or ksr.pike.pike_check_req() >= 0:
        return True
    return settings.trusts(ksr.kx.get_srcip())


def pass_sender(worker: Worker) -> bool:
    """Whether the request does not come from a known scanner; one that does gets no answer."""
    agent = fields.user_agent(worker).lower()
    for scanner in _SCANNERS:
        if scanner in agent:
            worker.count(counters.SCANNERS)
            return False
    return True
