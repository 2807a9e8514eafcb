"""What the farm writes into its own Record-Route and Route URIs, and signs.

In: dialog identifiers and flows. Out: URI text; and from a Route that comes back, what it says,
if this farm wrote it. Counterparts: any node of the farm, as all have the same key.

A Record-Route carries `s`, a signature over Call-ID and the caller's From tag, so that a node that
never saw the call knows that the farm let it pass, and from which side a request comes; and `u` and
`d`, the flows (RFC 5626) to the caller and to the callee, for phones that only one node reaches;
and `k`, the trunk that the call came from or goes to. A Route to such a node carries `f`, the flow
to use, and `s` over it and the Call-ID.
"""

import re
from hashlib import blake2s
from hmac import compare_digest
from typing import Final

import msgspec

from proxy import sip_uri

SIGNATURE_BYTES: Final = 12
_SEPARATOR: Final = "~"
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PROTOCOLS: Final = frozenset({"udp", "tcp", "tls", "ws", "wss"})


class Flow(msgspec.Struct, frozen=True):
    """A way to a phone that only its owner has."""

    owner: str
    """Name of the node that holds the flow."""
    protocol: str
    address: str
    port: int

    @property
    def uri(self) -> str:
        """Where the owner sends what is meant for the phone."""
        host = sip_uri.bracketed(self.address)
        return f"sip:{host}:{self.port};transport={self.protocol}"

    @property
    def hop(self) -> str:
        """The same, as Kamailio takes it: its URIs have no transport `wss` (RFC 7118 has none)."""
        if self.protocol == "wss":
            return f"sips:{sip_uri.bracketed(self.address)}:{self.port};transport=ws"
        return self.uri

    @property
    def reliable(self) -> bool:
        """Whether it is a connection."""
        return self.protocol != "udp"


class DialogRoute(msgspec.Struct, frozen=True):
    """What a Record-Route of ours says about the request that came back along it."""

    from_caller: bool
    flow: Flow | None
    """The flow to the side that the request goes to, if that side needs one."""
    trunk: str = ""
    """The trunk of the call, if it has one."""


def encode_flow(flow: Flow) -> str:
    """The flow as a URI parameter's value."""
    return _SEPARATOR.join(
        (flow.owner, flow.protocol, sip_uri.bracketed(flow.address), str(flow.port))
    )


def decode_flow(text: str) -> Flow | None:
    """The flow of `encode_flow`; None for anything else."""
    parts = text.split(_SEPARATOR)
    if len(parts) != 4 or parts[1] not in _PROTOCOLS or not _PORT.fullmatch(parts[3]):
        return None
    return Flow(parts[0], parts[1], parts[2].strip("[]"), int(parts[3]))


def flow_of(owner: str, received: str) -> Flow | None:
    """The flow of a binding's `received` URI, which `Flow.uri` made."""
    protocol = sip_uri.transport_of(received) or "udp"
    port = received.partition(";")[0].rpartition(":")[2]
    return decode_flow(f"{owner}~{protocol}~{sip_uri.host_of(received)}~{port}")


def write_record_route(
    key: bytes,
    call_id: str,
    from_tag: str,
    caller: Flow | None,
    callee: Flow | None,
    trunk: str = "",
) -> str:
    """What the Record-Route URI of a request that creates a dialog says of it, as parameters."""
    up = encode_flow(caller) if caller else ""
    down = encode_flow(callee) if callee else ""
    named = (trunk,) if trunk else ()
    text = f"s={_sign(key, 'r', call_id, from_tag, up, down, *named)}"
    if up:
        text += f";u={up}"
    if down:
        text += f";d={down}"
    if trunk:
        text += f";k={trunk}"
    return text


def read_record_route(
    key: bytes, parameters: dict[str, str], call_id: str, from_tag: str, to_tag: str
) -> DialogRoute | None:
    """What a Route's parameters say; None if the farm did not write them for this dialog."""
    signature = parameters.get("s", "")
    get = parameters.get
    up, down, trunk = get("u", ""), get("d", ""), get("k", "")
    named = (trunk,) if trunk else ()
    if _same(signature, _sign(key, "r", call_id, from_tag, up, down, *named)):
        return DialogRoute(True, decode_flow(down) if down else None, trunk)
    if _same(signature, _sign(key, "r", call_id, to_tag, up, down, *named)):
        return DialogRoute(False, decode_flow(up) if up else None, trunk)
    return None


def write_owner_route(key: bytes, node_host: str, call_id: str, flow: Flow) -> str:
    """The Route URI that has the owner put a request on the flow."""
    text = encode_flow(flow)
    return f"sip:{node_host};lr;f={text};s={_sign(key, 'f', call_id, text)}"


def read_owner_route(key: bytes, parameters: dict[str, str], call_id: str) -> Flow | None:
    """The flow that a Route's parameters name; None if no node of the farm wrote them."""
    text = parameters.get("f", "")
    if not _same(parameters.get("s", ""), _sign(key, "f", call_id, text)):
        return None
    return decode_flow(text)


def parameters_of(uri: str) -> dict[str, str]:
    """The URI parameters, names in lower case."""
    found = {}
    for parameter in uri[uri.rfind("@") + 1 :].split(";")[1:]:
        name, _, value = parameter.partition("=")
        found[name.lower()] = value
    return found


def _same(claimed: str, signature: str) -> bool:
    return claimed.isascii() and compare_digest(claimed, signature)


def _sign(key: bytes, *parts: str) -> str:
    data = "\0".join(parts).encode("utf-8", "surrogateescape")
    return blake2s(data, key=key, digest_size=SIGNATURE_BYTES).hexdigest()
