"""Handles REGISTER (RFC 3261 10.3): reads what it asks for, and answers it.

In: a REGISTER. Out: `Register` to the daemon, and its outcome as a reply. Counterpart:
`overlay.records.registration` and the daemon's registrar, which decide what changes.
"""

import time
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from overlay.base.limits import HEADER_CHARS_MAX, URI_CHARS_MAX
from overlay.control.proxy_messages import Register, Registered
from overlay.records.names import address_of_record
from overlay.records.register import Contact, ContactChange, RegisterOutcome
from proxy import contacts, counters, route_token, sip_uri
from proxy.contacts import ALL_CONTACTS, ContactError
from proxy.routes import auth, fields, flows, pings, responses
from proxy.settings import Settings
from proxy.worker import Worker

PATH_HOPS_MAX: Final = 8
NEVER_TOO_BRIEF_S: Final = 3600
"""A REGISTER that asks for an hour or more is never refused as too brief, whatever
`proxy.expires_min_s` is (RFC 3261 10.3 step 7)."""
MOVE_AFTER_S: Final = 2
"""How long a connection lives on after its phone is to move to another node: the 200 has arrived by
then, and requests that the phone began meanwhile are answered."""
_OPTIONS: Final = ("outbound", "path")
"""Extensions that a REGISTER may require."""


@dataclass(frozen=True, slots=True)
class RegisterRefusal:
    """A final answer to a REGISTER that changes nothing."""

    code: int
    reason: str
    field: str = ""
    """A header field of the answer; empty for none."""


def register(worker: Worker) -> None:
    """Deal with one REGISTER."""
    kx, settings = worker.ksr.kx, worker.settings
    if (kx.get_rhost() or "").lower() not in settings.own_hosts:
        _refuse(worker, RegisterRefusal(403, "Not A Registrar For This Domain"))
        return
    user = kx.get_tuser()
    if not user or (kx.get_thost() or "").lower() not in settings.own_hosts:
        _refuse(worker, RegisterRefusal(404, "Not Found"))
        return
    aor = address_of_record(user, settings.farm)
    if "\0" in aor or len(aor) > URI_CHARS_MAX:
        _refuse(worker, RegisterRefusal(404, "Not Found"))
        return
    contacts_max = 0
    if settings.config.proxy.authenticate:
        subscriber = auth.authenticate(worker, aor)
        if subscriber is None:
            return
        contacts_max = subscriber.policy.contacts_max
    request = _read(worker, aor, contacts_max)
    if isinstance(request, RegisterRefusal):
        _refuse(worker, request)
        return
    _answer(worker, request, worker.overlay.register(request, settings.lookup_deadline_s))


def _read(worker: Worker, aor: str, contacts_max: int) -> Register | RegisterRefusal:
    ksr, settings = worker.ksr, worker.settings
    if unknown := [each for each in _listed(worker, "Require") if each not in _OPTIONS]:
        return RegisterRefusal(420, "Bad Extension", f"Unsupported: {', '.join(unknown)}\r\n")
    call_id, cseq = ksr.kx.get_callid(), int(ksr.pv.get("$cs"))
    if len(call_id) > HEADER_CHARS_MAX:
        return RegisterRefusal(400, "Call-ID Too Long")
    values = fields.all_of(worker, "Contact")
    expires = ksr.hdr.get_idx("Expires", 0)
    default_s = settings.config.proxy.expires_default_s
    unsaid_s = contacts.delta_seconds(expires) if expires is not None else default_s
    try:
        found = contacts.parse(values, unsaid_s)
    except ContactError as error:
        return RegisterRefusal(400, str(error))
    if found == ALL_CONTACTS:
        if unsaid_s != 0:
            return RegisterRefusal(400, "Contact * Without Expires 0")
        return Register(aor=aor, call_id=call_id, cseq=cseq, remove_all=True)
    supported = _listed(worker, "Supported")
    path = _path(worker, supported)
    if isinstance(path, RegisterRefusal):
        return path
    changes: list[ContactChange] = []
    for contact in found:
        expires_s = granted_expires(settings, contact.expires_s)
        if expires_s is None:
            shortest = f"Min-Expires: {settings.config.proxy.expires_min_s}\r\n"
            return RegisterRefusal(423, "Interval Too Brief", shortest)
        if sip_uri.host_of(contact.uri) in settings.own_hosts:
            return RegisterRefusal(403, "Contact Is The Farm Itself")
        expires_s = spread_expires(settings, expires_s, f"{call_id} {cseq} {contact.uri}")
        change = _change(worker, contact, expires_s, path=path, flows_known="outbound" in supported)
        changes.append(change)
    if any(change.reg_id and change.expires_s for change in changes):
        if len(changes) > 1:
            return RegisterRefusal(400, "One Contact With reg-id At A Time")
        if not _first_hop_knows_flows(worker, path):
            return RegisterRefusal(439, "First Hop Lacks Outbound Support")
    return Register(
        aor=aor,
        call_id=call_id,
        cseq=cseq,
        contacts=tuple(changes),
        path=path,
        user_agent=fields.user_agent(worker)[:HEADER_CHARS_MAX],
        contacts_max=contacts_max,
    )


def granted_expires(settings: Settings, asked_s: int) -> int | None:
    """How long a binding is to last (RFC 3261 10.3 step 7), in seconds; None if the REGISTER asks
    for too short a time."""
    proxy = settings.config.proxy
    if 0 < asked_s < min(proxy.expires_min_s, NEVER_TOO_BRIEF_S):
        return None
    return min(asked_s, proxy.expires_max_s)


def spread_expires(settings: Settings, expires_s: int, request: str) -> int:
    """`expires_s`, or somewhat less, as `proxy.expires_jitter` says. The text of the request
    decides how much less, so that every node grants a retransmission the same."""
    proxy = settings.config.proxy
    if expires_s < 2 * proxy.expires_min_s:
        return expires_s
    shares = int(expires_s * proxy.expires_jitter) + 1
    return expires_s - crc32(request.encode("utf-8", "surrogateescape")) % shares


def _change(
    worker: Worker, contact: Contact, expires_s: int, *, path: tuple[str, ...], flows_known: bool
) -> ContactChange:
    flow = flows.flow_of_sender(worker, contact.uri) if expires_s and not path else None
    return ContactChange(
        uri=contact.uri,
        expires_s=expires_s,
        q=contact.q,
        received=flow.uri if flow else "",
        owner=flow.owner if flow else "",
        instance=contact.instance,
        reg_id=contact.reg_id if flows_known else 0,
    )


def _first_hop_knows_flows(worker: Worker, path: tuple[str, ...]) -> bool:
    """Whether the phone's first hop keeps to RFC 5626 5.1. That hop is this node, or the last of
    the Path."""
    if worker.ksr.pv.get("$hdrc(Via)") == 1:
        return True
    return bool(path) and "ob" in route_token.parameters_of(path[-1])


def _listed(worker: Worker, name: str) -> list[str]:
    """The option tags in a header field, in lower case."""
    text = ",".join(fields.all_of(worker, name)).lower()
    return [option.strip() for option in text.split(",") if option.strip()]


def _path(worker: Worker, supported: list[str]) -> tuple[str, ...] | RegisterRefusal:
    """The Path URIs (RFC 3327). They are taken only if the phone knows that they are there."""
    values = fields.all_of(worker, "Path")
    if not values:
        return ()
    if "path" not in supported:
        return RegisterRefusal(420, "Bad Extension", "Unsupported: path\r\n")
    hops = []
    for value in values:
        for hop in value.split(","):
            uri = hop.partition("<")[2].partition(">")[0]
            if not contacts.is_sip_uri(uri) or len(uri) > URI_CHARS_MAX:
                return RegisterRefusal(400, "Bad Path")
            hops.append(uri)
    return tuple(hops) if len(hops) <= PATH_HOPS_MAX else RegisterRefusal(400, "Path Too Long")


_REFUSED_BY_DAEMON: Final = {
    RegisterOutcome.STALE: RegisterRefusal(500, "Out Of Order"),
    RegisterOutcome.TOO_MANY: RegisterRefusal(403, "Too Many Contacts"),
}


def _answer(worker: Worker, request: Register, answer: Registered | None) -> None:
    """Tell the phone what the daemon did with its REGISTER; None: the daemon gave no answer."""
    if answer is not None and answer.outcome is RegisterOutcome.DONE:
        _answer_ok(worker, request, answer)
    elif answer is not None and answer.outcome in _REFUSED_BY_DAEMON:
        _refuse(worker, _REFUSED_BY_DAEMON[answer.outcome])
    else:
        worker.count(counters.REGISTERS_FAILED)
        responses.unavailable(worker)


def _answer_ok(worker: Worker, request: Register, answer: Registered) -> None:
    """200 with all bindings (RFC 3261 10.3 step 8), and what else the phone has to know."""
    worker.count(counters.REGISTERS_DONE)
    pings.remember_flow(worker, request)
    proxy, append = worker.settings.config.proxy, worker.ksr.hdr.append_to_reply
    if answer.bindings:
        append(f"Contact: {', '.join(map(contact_field, answer.bindings))}\r\n")
    if request.path:
        append(f"Path: {', '.join(f'<{hop}>' for hop in request.path)}\r\n")
    if proxy.service_route:
        append(f"Service-Route: {', '.join(f'<{hop}>' for hop in proxy.service_route)}\r\n")
    if any(change.reg_id for change in request.contacts):
        append("Require: outbound\r\n")
        if not request.path:
            append(f"Flow-Timer: {proxy.flow_timer_s}\r\n")
    if answer.weak:
        # The Warning is for people and logs (RFC 3261 20.43): the bindings are in force.
        agent = worker.settings.config.farm.name
        append(f'Warning: 399 {agent} "Held by fewer nodes than usual"\r\n')
    append(time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime()))
    responses.send(worker, 200, "OK")
    if answer.move and not worker.ksr.is_UDP():
        worker.ksr.tcpops.tcp_set_connection_lifetime(MOVE_AFTER_S)


def contact_field(binding: Contact) -> str:
    """A binding as a value of the Contact header field."""
    q = f";q={binding.q / 1000:g}" if binding.q != contacts.Q_DEFAULT else ""
    flow = f";reg-id={binding.reg_id}" if binding.reg_id else ""
    device = f';+sip.instance="{binding.instance}"' if binding.instance else ""
    return f"<{binding.uri}>;expires={binding.expires_s}{q}{device}{flow}"


def _refuse(worker: Worker, refusal: RegisterRefusal) -> None:
    worker.count(counters.REGISTERS_REFUSED)
    if refusal.field:
        worker.ksr.hdr.append_to_reply(refusal.field)
    responses.send(worker, refusal.code, refusal.reason)
