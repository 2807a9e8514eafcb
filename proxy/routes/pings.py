"""Keeps NATs open for phones on UDP (RFC 5626 4.4 asks this of the phones; many do not do it).

In: registrations that came on a UDP flow of this node, a tick each second, answers. Out: an OPTIONS
to each such phone every `proxy.nat_ping_s`, from the socket that the phone registered at. Only the
owner of a flow can do this, as the NAT lets no other address in. Counterpart:
`proxy/ping_round.py`, which says which phones are due.

A flow is remembered for as long as its binding was granted, and by this node alone, as it is of no
use elsewhere. A ping has no transaction; its answer is noted and goes no further. A phone that does
not answer keeps its binding, which only the phone itself or time ends (RFC 3261 10.3); and it is
pinged on, as the answer may have been lost.
"""

import uuid
from collections.abc import Mapping
from hashlib import blake2s
from hmac import compare_digest
from typing import Final

from overlay.base.joined import joined
from overlay.control.proxy_messages import Register
from proxy import counters, pinged_flows, sip_uri
from proxy.ping_round import PingRound, slice_of
from proxy.pinged_flows import PingedFlow
from proxy.routes import fields
from proxy.settings import Settings
from proxy.worker import Worker

_PONGS: Final = "pongs"
_ITERATOR: Final = "pings"
_CALL_ID: Final = "nat-ping-"
_SIGNATURE_BYTES: Final = 12


def remember_flow(worker: Worker, request: Register) -> None:
    """A REGISTER was granted: remember its UDP flow, or forget the flow if no binding is left on
    it."""
    round_s = worker.settings.config.proxy.nat_ping_s
    if not round_s or not worker.ksr.is_UDP():
        return
    kx, htable = worker.ksr.kx, worker.ksr.htable
    address = _host_port(kx.get_srcip(), kx.get_srcport())
    table = _table(slice_of(address, round_s))
    key = f"{address}|{fields.fixed_key(request.aor)}"
    kept = [change for change in request.contacts if change.received and change.expires_s]
    if kept:
        expires_s = max(change.expires_s for change in kept)
        flow = worker.clock() + expires_s, kept[0].uri
        known = htable.sht_get(table, key) is not None
        if not known and not worker.flows_quota.take(kx.get_srcip(), 1):
            worker.count(counters.SOURCES_FULL)
            return
        htable.sht_setxs(table, key, pinged_flows.encode(flow), expires_s)
    elif request.remove_all or request.contacts:
        htable.sht_rm(table, key)


def tick(worker: Worker, pings: PingRound) -> None:
    """A second has passed: send what is due."""
    if pings.is_new:
        _restore(worker, pings)
    elif pings.round_begins:
        _store(worker, pings)
    for number in pings.tick():
        found = _by_address(_flows(worker, number))
        answered = {address for address in found if worker.ksr.htable.sht_get(_PONGS, address)}
        for _ in range(pings.add(number, found, answered)):
            worker.count(counters.NAT_SILENT)
    for address, contact in pings.due():
        text = options_request(worker.settings, address, contact, uuid.uuid4().hex)
        worker.ksr.corex.send_data(f"sip:{address};transport=udp", text)
        worker.count(counters.NAT_PINGS)


def is_answer(worker: Worker) -> bool:
    """Whether this reply to an OPTIONS answers a ping of this node. If so, it is noted."""
    kx, settings = worker.ksr.kx, worker.settings
    call_id = kx.get_callid()
    if not call_id.startswith(_CALL_ID) or worker.ksr.pv.get("$hdrc(Via)") != 1:
        return False
    address = _host_port(kx.get_srcip(), kx.get_srcport())
    if not is_made_for(settings, call_id, address):
        # An answer to nothing would only fill the table.
        return True
    worker.count(counters.NAT_PONGS)
    if settings.config.proxy.nat_ping_s:
        worker.ksr.htable.sht_sets(_PONGS, address, "1")
    return True


def call_id_for(settings: Settings, address: str, unique: str) -> str:
    """The Call-ID of a ping to this address, which nobody else can make; `unique` has no hyphen."""
    return f"{_CALL_ID}{unique}-{_signature(settings, address, unique)}"


def is_made_for(settings: Settings, call_id: str, address: str) -> bool:
    """Whether `call_id_for` made this, on this node, for this address."""
    unique, _, signature = call_id.removeprefix(_CALL_ID).partition("-")
    expected = _signature(settings, address, unique)
    return signature.isascii() and compare_digest(signature, expected)


def _signature(settings: Settings, address: str, unique: str) -> str:
    data = joined("ping", settings.node, address, unique)
    return blake2s(data, key=settings.route_key, digest_size=_SIGNATURE_BYTES).hexdigest()


def options_request(settings: Settings, address: str, contact: str, unique: str) -> str:
    """The ping for a phone; any final answer to it will do (RFC 3261 11)."""
    node, port = settings.config.node, settings.config.proxy.port
    own = node.address6 if address.startswith("[") and node.address6 else node.address
    target = contact.partition("?")[0]
    lines = (
        f"OPTIONS {target} SIP/2.0",
        f"Via: SIP/2.0/UDP {sip_uri.bracketed(own)}:{port};branch=z9hG4bK{unique};rport",
        "Max-Forwards: 70",
        f"From: <sip:{settings.farm}>;tag={unique[:8]}",
        f"To: <{target}>",
        f"Call-ID: {call_id_for(settings, address, unique)}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return "\r\n".join(lines) + "\r\n\r\n"


def _store(worker: Worker, pings: PingRound) -> None:
    """Write the flows to the file, for a Kamailio that starts again."""
    flows: dict[str, PingedFlow] = {}
    for number in range(pings.slices):
        flows |= _flows(worker, number)
    try:
        pinged_flows.write(worker.settings.config.flows_file, flows)
    except OSError as error:
        worker.log.line("flows", f"flows are not stored: {error.strerror}")


def _restore(worker: Worker, pings: PingRound) -> None:
    """Read the flows of an earlier Kamailio, and ping all of them at once: their last ping may have
    been long ago."""
    now_s, round_s = worker.clock(), worker.settings.config.proxy.nat_ping_s
    flows = pinged_flows.read(worker.settings.config.flows_file, now_s)
    for key, flow in flows.items():
        table = _table(slice_of(_address_in(key), round_s))
        if worker.ksr.htable.sht_get(table, key) is None:
            expires_s = max(1, int(flow[0] - now_s))
            worker.ksr.htable.sht_setxs(table, key, pinged_flows.encode(flow), expires_s)
    pings.hurry(_by_address(flows))


def _flows(worker: Worker, number: int) -> dict[str, PingedFlow]:
    """The flows of a slice, by address and subscriber."""
    htable, get = worker.ksr.htable, worker.ksr.pv.get
    found: dict[str, PingedFlow] = {}
    if htable.sht_iterator_start(_ITERATOR, _table(number)) < 0:
        return found
    try:
        while htable.sht_iterator_next(_ITERATOR) > 0:
            found[get("$shtitkey(pings)")] = pinged_flows.decode(get("$shtitval(pings)"))
    finally:
        htable.sht_iterator_end(_ITERATOR)
    return found


def _by_address(flows: Mapping[str, PingedFlow]) -> dict[str, str]:
    """The Contacts by address. Several subscribers of one phone share a flow."""
    return {_address_in(key): contact for key, (_, contact) in flows.items()}


def _address_in(key: str) -> str:
    return key.partition("|")[0]


def _table(number: int) -> str:
    return f"flows{number}"


def _host_port(host: str, port: int) -> str:
    return f"{sip_uri.bracketed(host)}:{port}"
