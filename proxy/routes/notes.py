"""Takes note of the caller, and of the way of an INVITE, for the call's events.

In: an INVITE on its way; later its answer, or a request in its dialog. Out: a parameter (`e`) of
the Record-Route; the `CallNote` again. Counterparts: `call_note.py` seals it; `call_events.py`
writes it.

Nothing depends on a note. A phone that removes it from a message, or replaces it, leaves these
fields out of the record of its own call, and is counted.
"""

from typing import Final

from overlay.base.limits import URI_CHARS_MAX
from proxy import call_note, counters, sip_uri
from proxy.call_note import CallNote
from proxy.routes import fields, pins
from proxy.worker import Worker

PARAMETER: Final = "e"
_SAME: Final = "="
"""Stands for a text that the reader can make from the message. It is no URI, and nobody's name."""
_OF_INVITE: Final = fields.VariableGroup("$ou", "$tu", "$pr", "$si", "$sp")
_CALLER: Final = "$avp(caller)"
"""Where a transaction keeps the caller, for branches that are sent later."""


def forget_caller(worker: Worker) -> None:
    """A new request has come: nothing is known of its sender."""
    worker.caller, worker.asserted = "", ""


def keep_caller(worker: Worker) -> None:
    """Have the transaction remember the caller."""
    if worker.caller or worker.asserted:
        worker.ksr.pv.sets(_CALLER, f"{worker.caller}\n{worker.asserted}")


def recall_caller(worker: Worker) -> None:
    """Read the caller from the transaction whose next branch is to be sent."""
    kept = worker.ksr.pv.get(_CALLER) or ""
    worker.caller, _, worker.asserted = kept.partition("\n")


def parameter(worker: Worker, call_id: str, from_tag: str, routed: str) -> str:
    """The parameter for the Record-Route of an INVITE that leaves for `routed`; empty for other
    requests, and without billing."""
    settings = worker.settings
    if not settings.config.billing.enabled or worker.ksr.kx.get_method() != "INVITE":
        return ""
    dialled, callee, protocol, address, port = _OF_INVITE.read(worker)
    asserted = worker.asserted
    note = CallNote(
        subscriber=call_note.short(worker.caller),
        asserted=_SAME if asserted == f"sip:{worker.caller}" else call_note.short(asserted),
        dialled=_SAME if dialled == callee else call_note.short(dialled),
        routed=call_note.short(routed),
        source=f"{protocol}:{sip_uri.bracketed(address)}:{port}",
    )
    sealed = call_note.seal(settings.route_key, call_id, from_tag, note)
    if settings.config.billing.attempts:
        pins.keep_note(worker, call_id, from_tag, sealed)
    return f";{PARAMETER}={sealed}"


def read(
    worker: Worker, parameters: dict[str, str], call_id: str, from_tag: str, callee: str
) -> CallNote:
    """The note in a Record-Route or Route of the farm; an empty note if there is none. `from_tag`
    is that of the INVITE; `callee` is the variable of Kamailio that holds its To URI."""
    text = parameters.get(PARAMETER, "")
    note = call_note.unseal(worker.settings.route_key, call_id, from_tag, text)
    if note is None:
        if text:
            worker.count(counters.NOTES_REFUSED)
        return CallNote()
    asserted = f"sip:{note.subscriber}" if note.asserted == _SAME else note.asserted
    dialled = note.dialled
    if dialled == _SAME:
        dialled = fields.text(worker, callee)[:URI_CHARS_MAX]
    return CallNote(
        subscriber=note.subscriber,
        asserted=asserted,
        dialled=dialled,
        routed=note.routed,
        source=note.source,
    )


def of_refused(worker: Worker, call_id: str, from_tag: str) -> CallNote:
    """The note of an INVITE that this node sent on, when its refusal comes: that has no
    Record-Route."""
    parameters = {PARAMETER: pins.note(worker, call_id, from_tag)}
    return read(worker, parameters, call_id, from_tag, "$tu")
