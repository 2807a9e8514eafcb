"""The calls that a subscriber has at a time.

In: an initial INVITE whose sender may have only so many calls; the refusal of one. Out: whether it
may go on. Counterpart: `overlay.replication.claims`, which counts for the whole farm.

A call that was answered is no longer this file's business: its record tells when it ends. One that
is refused says so here, to whichever node sent its INVITE on, and makes room at once.
"""

from typing import Final

from overlay.limits import HEADER_CHARS_MAX
from proxy import counters
from proxy.routes import fields
from proxy.worker import Worker

_CLAIMS: Final = "claims"


def granted(worker: Worker, aor: str, calls_max: int, *, repeated: bool) -> bool:
    """Whether the subscriber may make this call. Where nobody can say, he may: service goes before
    limits. `repeated`: the retransmission of one that he may make."""
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
    """The INVITE that this message is, or answers, was refused; nothing happens if it was not
    claimed by this node."""
    key = _key(worker)
    aor = worker.ksr.htable.sht_get(_CLAIMS, key)
    worker.call_claimed = False
    if isinstance(aor, str):
        worker.ksr.htable.sht_rm(_CLAIMS, key)
        worker.overlay.release(aor, *_names(worker), worker.settings.lookup_deadline_s)


def _names(worker: Worker) -> tuple[str, str, int]:
    """Call-ID and From tag as the call's record has them, and CSeq."""
    call_id, from_tag = fields.text(worker, "$ci"), fields.text(worker, "$ft")
    cseq = int(worker.ksr.pv.get("$cs") or 0)
    return call_id[:HEADER_CHARS_MAX], from_tag[:HEADER_CHARS_MAX], cseq


def _key(worker: Worker) -> str:
    call_id, from_tag, cseq = _names(worker)
    return fields.table_key(call_id, cseq, from_tag)
