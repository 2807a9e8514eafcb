"""Decides which HTTP requests become WebSocket connections that carry SIP (RFC 7118).

In: an HTTP request, on any connection. Out: a WebSocket; or a refusal, and the end of the
connection. Counterpart: Kamailio's websocket module, which looks at the version, the key and the
sub-protocol `sip`. The phone proves its identity later, by digest, as on every transport.
"""

from overlay.base.limits import SIP_FIELD_CHARS_MAX
from proxy import counters, sip_uri
from proxy.worker import Worker


def route(worker: Worker) -> None:
    """Deal with one HTTP request."""
    refusal = _refusal(worker)
    if refusal is None and worker.ksr.websocket.handle_handshake() > 0:
        worker.count(counters.WEBSOCKETS_OPENED)
        return
    worker.count(counters.WEBSOCKETS_REFUSED)
    if refusal is not None:
        worker.ksr.set_reply_close()
        worker.ksr.xhttp.xhttp_reply(*refusal, "", "")


def _refusal(worker: Worker) -> tuple[int, str] | None:
    ksr, proxy = worker.ksr, worker.settings.config.proxy
    if ksr.kx.get_msglen() > SIP_FIELD_CHARS_MAX:
        return 431, "Request Header Fields Too Large"
    port = ksr.pv.get("$Rp")
    if not port or port not in (proxy.ws_port, proxy.wss_port):
        return 403, "Forbidden"
    upgrade = (ksr.hdr.get_idx("Upgrade", 0) or "").strip().lower()
    if ksr.kx.get_method() != "GET" or upgrade != "websocket":
        return 404, "Not Found"
    if sip_uri.host_of(f"sip:{ksr.hdr.get_idx('Host', 0) or ''}") not in worker.settings.own_hosts:
        return 403, "Not A Host Of This Farm"
    origin = (ksr.hdr.get_idx("Origin", 0) or "").strip().lower()
    if origin and proxy.ws_origins and origin not in proxy.ws_origins:
        return 403, "Origin Not Allowed"
    return None
