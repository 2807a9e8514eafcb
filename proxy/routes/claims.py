"""The limit of calls that a subscriber may have at a time.

In: an initial INVITE whose sender has such a limit; the refusal of one. Out: whether the INVITE may
go on. Counterpart: `overlay.replication.claims`, which counts for the whole farm.

The INVITE claims its call, so that the call counts from then on. This file is done with a call that
was answered, as its record tells when it ends. If the INVITE is refused, the node that had sent it
on releases the call, and another one may be made at once.
"""

from typing import Final

from overlay.base.limits import HEADER_CHARS_MAX
from proxy import counters
from proxy.routes import fields
from proxy.worker import Worker

_CLAIMS: Final = "claims"


def granted(worker: Worker, aor: str, calls_max: int, *, repeated: bool) -> bool:
    """Whether the subscriber may make this call. If the daemon cannot tell, the call passes:
    service goes before limits. `repeated` says that this is the retransmission of an INVITE that
    had passed."""
    htable, key = worker.ksr.htable, _key(worker)
    if repeated:
        worker.call_claimed = htable.sht_get(_CLAIMS, key) is not None
        return True
    answer = worker.overlay.claim(
        aor, *_names(worker), calls_max, worker.settings.lookup_deadline_s
    )
    if answer is None:
        worker.count(counters.CLAIMS_FAILED)
        return True
    if not answer.granted:
        return False
    worker.call_claimed = True
    htable.sht_sets(_CLAIMS, key, aor)
    return True


def release(worker: Worker) -> None:
    """The INVITE that this message is, or answers, was refused. Nothing happens if this node had
    not claimed its call."""
    key = _key(worker)
    aor = worker.ksr.htable.sht_get(_CLAIMS, key)
    worker.call_claimed = False
    if isinstance(aor, str):
        worker.ksr.htable.sht_rm(_CLAIMS, key)
        worker.overlay.release(aor, *_names(worker), worker.settings.lookup_deadline_s)


def _names(worker: Worker) -> tuple[str, str, int]:
    """CSeq, with Call-ID and From tag as the call's record has them."""
    call_id, from_tag = fields.text(worker, "$ci"), fields.text(worker, "$ft")
    cseq = int(worker.ksr.pv.get("$cs") or 0)
    return call_id[:HEADER_CHARS_MAX], from_tag[:HEADER_CHARS_MAX], cseq


def _key(worker: Worker) -> str:
    call_id, from_tag, cseq = _names(worker)
    return fields.table_key(call_id, cseq, from_tag)
