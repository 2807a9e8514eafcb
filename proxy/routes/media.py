"""Session descriptions that lead through an RTP relay (rtpengine), where there are relays.

In: messages with an SDP body, and those that end a session. Out: the bodies rewritten to name the
relay. Counterpart: `rtpengine`, asked by Kamailio's module of that name, which chooses one of the
healthy relays by Call-ID: all nodes choose alike, and nothing is shared. The same question twice
has the same answer, so retransmissions through other nodes stay byte for byte alike.

An offer is in a request, its answer in a reply; or, where a request that begins a session has no
body, the offer is in the 2xx and the answer in the ACK (RFC 3261 13.2.1). Of two nodes that a
request passes, the first one asks; `loop-protect` has the relay leave the other's question alone.
"""

from typing import Final

from proxy import counters
from proxy.routes import answers, fields
from proxy.worker import Worker

_SDP: Final = "application/sdp"
_OFFERING: Final = frozenset({"INVITE", "UPDATE", "PRACK"})
"""Requests that may hold an offer (RFC 3261 13.1, 3311, 3262)."""
_BROWSERS: Final = frozenset({"ws", "wss"})
_ALWAYS: Final = "loop-protect replace-origin"
_TO_PHONE: Final = f"{_ALWAYS} ICE=remove RTP/AVP rtcp-mux-demux"
_TO_BROWSER: Final = f"{_ALWAYS} ICE=force RTP/SAVPF generate-mid rtcp-mux-offer"
_TO_ITS_LIKE: Final = {
    False: f"{_ALWAYS} ICE=remove",
    # Browsers check paths by themselves; the relay is one more of them.
    True: f"{_ALWAYS} ICE=force",
}
_TABLE: Final = "delayed"


def pass_offer(worker: Worker, method: str, protocol: str) -> bool:
    """Have a request's offer lead through a relay; `protocol` is the one that the request leaves
    by. False: no relay can be had, and the request was answered for that."""
    if not worker.settings.config.media.relays or method not in _OFFERING:
        return True
    ksr = worker.ksr
    if ksr.textops.has_body_type(_SDP) < 0:
        if method == "INVITE":
            ksr.htable.sht_sets(_TABLE, _key(worker), "1")
        return True
    here, there = ksr.kx.get_proto() in _BROWSERS, protocol in _BROWSERS
    flags = _TO_ITS_LIKE[here] if here == there else _TO_BROWSER if there else _TO_PHONE
    if ksr.rtpengine.rtpengine_offer(flags) >= 0:
        worker.count(counters.MEDIA_RELAYED)
        return True
    worker.count(counters.MEDIA_FAILED)
    if worker.settings.config.media.when_unavailable == "pass":
        return True
    answers.retry_later(worker)
    return False


def acknowledge(worker: Worker) -> None:
    """An ACK that holds the answer to an offer in the 2xx."""
    if worker.settings.config.media.relays and worker.ksr.textops.has_body_type(_SDP) > 0:
        _count(worker, worker.ksr.rtpengine.rtpengine_answer(_ALWAYS))


def answered(worker: Worker, method: str, status: int) -> None:
    """A reply, before it goes on."""
    if not worker.settings.config.media.relays or method not in _OFFERING or status <= 100:
        return
    ksr = worker.ksr
    if status >= 300 or ksr.textops.has_body_type(_SDP) < 0:
        return
    if method == "INVITE" and ksr.htable.sht_get(_TABLE, _key(worker)) is not None:
        done = ksr.rtpengine.rtpengine_offer(f"{_ALWAYS} ICE=remove")
    else:
        done = ksr.rtpengine.rtpengine_answer(_ALWAYS)
    _count(worker, done)


def end(worker: Worker) -> None:
    """The session is over: a BYE, or a final answer that refuses the call."""
    if worker.settings.config.media.relays:
        worker.ksr.rtpengine.rtpengine_delete("delete-delay=0")


def _count(worker: Worker, done: int) -> None:
    worker.count(counters.MEDIA_RELAYED if done >= 0 else counters.MEDIA_FAILED)


def _key(worker: Worker) -> str:
    get = worker.ksr.pv.get
    return fields.table_key(worker.ksr.kx.get_callid(), get("$cs"), get("$ft") or "")
