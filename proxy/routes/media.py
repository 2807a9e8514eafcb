"""Leads media through an RTP relay (rtpengine), where the farm has relays.

In: messages with an SDP body, and those that end a session. Out: bodies that name the relay.
Counterpart: `rtpengine`, which Kamailio's module of that name asks. The module chooses among the
healthy relays by the Call-ID: all nodes choose alike, and nothing is shared. The same question
twice has the same answer, so the retransmissions through other nodes stay alike, byte for byte.

An offer is in a request, and its answer in a reply. If a request that begins a session has no body,
the offer is in the 2xx, and the answer in the ACK (RFC 3261 13.2.1). Of two nodes that a request
passes, the first one asks the relay, and remembers it for the answer. If a body passes twice,
`loop-protect` has the relay leave it alone the second time. Later requests of the dialog tell by
their Record-Route whether the call has a relay.
"""

from collections.abc import Callable
from typing import Final

from overlay.records.targets import Target
from proxy import counters, sip_uri
from proxy.routes import fields, responses
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
    # Browsers choose among paths by themselves; the relay is one more path.
    True: f"{_ALWAYS} ICE=force",
}
OUT_S: Final = 1.0
"""How long a worker asks no relay, after none had answered."""
_TABLE: Final = "media"
_OFFERED: Final = "offered"
_LATE: Final = "late"


def pass_initial_offer(worker: Worker, protocol: str, targets: tuple[Target, ...] = ()) -> bool:
    """`pass_offer` for an INVITE that begins a call, if such calls have a relay."""
    media = worker.settings.config.media
    if not media.relays:
        return True
    if media.policy == "nat" and not (
        _is_behind_nat(worker)
        or any(map(_is_moved, targets))
        or (worker.ksr.kx.get_proto() in _BROWSERS) != (protocol in _BROWSERS)
    ):
        return True
    return pass_offer(worker, "INVITE", protocol)


def parameter(worker: Worker) -> str:
    """The parameter of the Record-Route that tells of this INVITE's relay; empty if it has none."""
    return ";m=1" if worker.settings.config.media.relays and _kept(worker) else ""


def is_relayed(parameters: dict[str, str]) -> bool:
    """Whether these parameters of a Route are those of a call that has a relay."""
    return "m" in parameters


def pass_offer(worker: Worker, method: str, protocol: str) -> bool:
    """Have a request's offer lead through a relay; `protocol` is the transport that the request
    leaves by. False if no relay can be had and the request was answered for that."""
    if not worker.settings.config.media.relays or method not in _OFFERING:
        return True
    ksr = worker.ksr
    if ksr.textops.has_body_type(_SDP) < 0:
        if method == "INVITE":
            ksr.htable.sht_sets(_TABLE, fields.transaction_key(worker), _LATE)
        return True
    here, there = ksr.kx.get_proto() in _BROWSERS, protocol in _BROWSERS
    flags = _TO_ITS_LIKE[here] if here == there else _TO_BROWSER if there else _TO_PHONE
    if _ask(worker, lambda: ksr.rtpengine.rtpengine_offer(flags)):
        ksr.htable.sht_sets(_TABLE, fields.transaction_key(worker), _OFFERED)
        worker.count(counters.MEDIA_RELAYED)
        return True
    worker.count(counters.MEDIA_FAILED)
    if worker.settings.config.media.when_unavailable == "pass":
        return True
    responses.retry_later(worker)
    return False


def in_dialog(worker: Worker, method: str, protocol: str) -> bool:
    """Do for the relay what a request means in the dialog of a call that has one. The result is
    that of `pass_offer`."""
    if method == "BYE":
        end(worker)
    elif method == "ACK":
        _acknowledge(worker)
    else:
        return pass_offer(worker, method, protocol)
    return True


def _acknowledge(worker: Worker) -> None:
    """An ACK may hold the answer to an offer in the 2xx."""
    if worker.settings.config.media.relays and worker.ksr.textops.has_body_type(_SDP) > 0:
        _count(worker, _ask(worker, lambda: worker.ksr.rtpengine.rtpengine_answer(_ALWAYS)))


def answered(worker: Worker, method: str, status: int) -> None:
    """Have the answer, or the late offer, in a reply lead through the relay, before the reply goes
    on."""
    if not worker.settings.config.media.relays or method not in _OFFERING or status <= 100:
        return
    ksr = worker.ksr
    if status >= 300 or ksr.textops.has_body_type(_SDP) < 0:
        return
    kept = _kept(worker)
    if kept is None:
        return
    if kept == _LATE:
        done = _ask(worker, lambda: ksr.rtpengine.rtpengine_offer(f"{_ALWAYS} ICE=remove"))
    else:
        done = _ask(worker, lambda: ksr.rtpengine.rtpengine_answer(_ALWAYS))
    _count(worker, done)


def refused(worker: Worker) -> None:
    """A call was refused, or could not be sent to anybody."""
    if worker.settings.config.media.relays and _kept(worker) is not None:
        worker.ksr.htable.sht_rm(_TABLE, fields.transaction_key(worker))
        end(worker)


def end(worker: Worker) -> None:
    """The session is over."""
    if worker.settings.config.media.relays:
        _ask(worker, lambda: worker.ksr.rtpengine.rtpengine_delete("delete-delay=0"))


def _ask(worker: Worker, command: Callable[[], int]) -> bool:
    """Whether a relay did what it was asked for. The worker waits for it. If all relays are dead,
    Kamailio would try them again for each call, and the worker could do nothing else."""
    began_s = worker.clock()
    if began_s < worker.relays_out_until_s:
        return False
    done = command() >= 0
    ended_s = worker.clock()
    # A relay that refuses does so at once, and may well serve other calls; one that took nearly the
    # whole deadline did not answer at all.
    if not done and ended_s - began_s > 0.9 * worker.settings.config.media.answer_within_ms / 1000:
        worker.relays_out_until_s = ended_s + OUT_S
    return done


def _count(worker: Worker, done: bool) -> None:
    worker.count(counters.MEDIA_RELAYED if done else counters.MEDIA_FAILED)


def _is_behind_nat(worker: Worker) -> bool:
    """Whether the request does not come from where its sender's Contact is. Behind an edge proxy
    this cannot be told, and counts as no."""
    ksr = worker.ksr
    if ksr.pv.get("$hdrc(Via)") != 1:
        return False
    uri = sip_uri.of_name_address(fields.text(worker, "$ct"))
    return not sip_uri.is_at(uri, ksr.kx.get_srcip())


def _is_moved(target: Target) -> bool:
    """Whether the phone's packets do not come from where its Contact is."""
    received = target.received
    return bool(received) and not sip_uri.is_at(target.uri, sip_uri.host_of(received))


def _kept(worker: Worker) -> object:
    """What this node remembers of the offer of this transaction."""
    return worker.ksr.htable.sht_get(_TABLE, fields.transaction_key(worker))
