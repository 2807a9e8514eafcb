"""Session timers (RFC 4028) of calls that are billed.

In: initial INVITEs, their 2xx, and refreshes. Out: Session-Expires where it was missing; 422; how
long a call lives without a refresh. Counterparts: `session_timer.py` has the rules;
`overlay/billing/closer.py` closes the calls that are not refreshed.

The node that gets the 2xx, whichever it is, has to know the interval that the caller was offered.
The Record-Route carries it (`t`), if the caller understands timers.
"""

from typing import Final

from proxy import counters, session_timer
from proxy.routes import fields, responses
from proxy.session_timer import RequestTimer
from proxy.worker import Worker

PARAMETER: Final = "t"


def pass_invite(worker: Worker) -> bool:
    """Ask for a session timer in an initial INVITE; False if the INVITE was refused (422)."""
    billing = worker.settings.config.billing
    if not billing.enabled or not billing.session_s:
        return True
    timer = _request_timer(worker)
    if timer.too_small:
        worker.count(counters.SESSIONS_TOO_SHORT)
        worker.ksr.hdr.append_to_reply(f"Min-SE: {billing.session_min_s}\r\n")
        responses.send(worker, 422, "Session Interval Too Small")
        return False
    if timer.insert:
        worker.ksr.hdr.append(f"Session-Expires: {timer.session_s}\r\n")
    return True


def parameter(worker: Worker) -> str:
    """The parameter of an INVITE's Record-Route that tells its timer; empty if it has none."""
    billing = worker.settings.config.billing
    if not billing.enabled or not billing.session_s or worker.ksr.kx.get_method() != "INVITE":
        return ""
    timer = _request_timer(worker)
    return f";{PARAMETER}={timer.session_s}" if timer.supported else ""


def complete_answer(worker: Worker, parameters: dict[str, str]) -> int:
    """Complete the timer in a 2xx whose Record-Route has these parameters. The result is the
    interval in seconds that caller and callee agree on; 0 for none."""
    billing = worker.settings.config.billing
    if not billing.session_s:
        return 0
    told = _field(worker, "Session-Expires")
    offered = parameters.get(PARAMETER, "")
    offered_s = int(offered) if offered.isdecimal() and len(offered) < 10 else 0
    if offered_s < billing.session_min_s:
        # The farm never writes such a value.
        offered_s = 0
    for field in session_timer.answer_fields(told, offered_s):
        worker.ksr.hdr.append(field)
    return offered_s if told is None else interval_s(worker)


def interval_s(worker: Worker) -> int:
    """The Session-Expires of the message in seconds; 0 if there is none."""
    return session_timer.seconds(_field(worker, "Session-Expires")) or 0


def _request_timer(worker: Worker) -> RequestTimer:
    billing = worker.settings.config.billing
    return session_timer.request_timer(
        _field(worker, "Session-Expires"),
        _field(worker, "Min-SE"),
        fields.joined(worker, "Supported"),
        billing.session_s,
        billing.session_min_s,
    )


def _field(worker: Worker, name: str) -> str | None:
    try:
        return worker.ksr.hdr.get_idx(name, 0)
    except UnicodeDecodeError:
        return None
