"""Writes the farm's Record-Route into a request that creates a dialog (RFC 3261 16.6 step 4).

In: a request and the target that it goes to. Out: the header field, at the top of the request.
Counterpart: `dialog.py` and `reply.py`, which read it when it comes back, on any node of the farm.

The field's URI carries all that another node must know of the dialog: the signed parameters of
`route_token.py`, the session timer (`session.py`), whether the media have a relay (`media.py`), and
the sealed note for the call events (`notes.py`).
"""

from typing import Final

from overlay.records.targets import Target
from proxy import route_token, sip_uri
from proxy.routes import fields, flows, media, notes, session
from proxy.settings import Settings
from proxy.worker import Worker

DIALOG_CREATING: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER"})
"""Methods of the requests that get a Record-Route."""


def insert(
    worker: Worker,
    target: Target,
    call_id: str,
    from_tag: str,
    trunk: str = "",
    routed: str = "",
) -> None:
    """Insert the Record-Route for a request that goes to `target`.

    `trunk` names the trunk that a call goes to; empty for calls that go to none. `routed` is the
    Request-URI that the request leaves with; empty if it is the target's own.
    """
    ksr, settings = worker.ksr, worker.settings
    table = worker.shown.table()
    if not trunk and table.knows_sources:
        came_from = table.from_source(ksr.kx.get_srcip())
        trunk = came_from.name if came_from else ""
    caller = flows.flow_of_sender(worker, fields.text(worker, "$ct"))
    callee = route_token.flow_of(target.owner, target.received) if target.received else None
    rest = route_token.write_record_route(
        settings.route_key, call_id, from_tag, caller, callee, trunk
    )
    rest += session.parameter(worker) + media.parameter(worker)
    note = notes.parameter(worker, call_id, from_tag, routed or target.uri)
    came_on = "udp" if ksr.is_UDP() else ksr.kx.get_proto()
    goes_on = callee.protocol if callee else sip_uri.protocol_of(target.path, target.uri)
    host, parameters = settings.route_end(came_on)
    text = f"<sip:{host};lr;{rest}{note}{parameters}>"
    if came_on != goes_on:
        text = _two_ends(settings, rest, note, goes_on, came_on)
    ksr.hdr.insert(f"Record-Route: {text}\r\n")


def _two_ends(settings: Settings, rest: str, note: str, goes_on: str, came_on: str) -> str:
    """A Record-Route for each side, the callee's first, so that each side sends on its own
    transport (RFC 5658). Kamailio takes both away at once, by `r2`. One of them has the note, which
    is enough."""
    ends = ((settings.route_end(goes_on), rest), (settings.route_end(came_on), rest + note))
    return ", ".join(f"<sip:{host};lr;{said}{more};r2=on>" for (host, more), said in ends)
