"""The parameters that the farm writes, and signs, into its own Record-Route and Route URIs.

In: dialog identifiers and flows. Out: URI text; and from a Route that comes back, its content, if
this farm wrote it. Counterparts: any node of the farm, as all have the same key.

A Record-Route carries:

- `s`, a signature over Call-ID and the caller's From tag. It tells a node that never saw the call
  that the farm let it pass, and from which side a request comes.
- `u` and `d`, the flows (RFC 5626) to the caller and to the callee, if only one node reaches them.
- `k`, the trunk that the call came from or goes to.

A Route to the owner of a flow carries `f`, the flow to use, and `s` over it and the Call-ID.
"""

import re
from hashlib import blake2s
from hmac import compare_digest
from typing import Final

import msgspec

from overlay.base.joined import joined
from proxy import sip_uri

SIGNATURE_BYTES: Final = 12
_SEPARATOR: Final = "~"
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PROTOCOLS: Final = frozenset({"udp", "tcp", "tls", "ws", "wss"})


class Flow(msgspec.Struct, frozen=True):
    """A way to a phone that only one node has, the flow's owner."""

    owner: str
    """Name of the node that holds the flow."""
    protocol: str
    address: str
    port: int

    @property
    def uri(self) -> str:
        """The URI to which the owner sends requests for the phone."""
        host = sip_uri.bracketed(self.address)
        return f"sip:{host}:{self.port};transport={self.protocol}"

    @property
    def hop(self) -> str:
        """The same URI as Kamailio takes it: it knows no transport `wss` in a URI, as RFC 7118 has
        none."""
        if self.protocol == "wss":
            return f"sips:{sip_uri.bracketed(self.address)}:{self.port};transport=ws"
        return self.uri

    @property
    def reliable(self) -> bool:
        """Whether the flow is a connection."""
        return self.protocol != "udp"


class DialogRoute(msgspec.Struct, frozen=True):
    """The content of a Record-Route of the farm, as seen by a request that came back along it."""

    from_caller: bool
    flow: Flow | None
    """The flow to the side that the request goes to, if that side needs one."""
    trunk: str = ""
    """The trunk of the call; empty if it has none."""


def encode_flow(flow: Flow) -> str:
    """The flow as a URI parameter's value."""
    return _SEPARATOR.join(
        (flow.owner, flow.protocol, sip_uri.bracketed(flow.address), str(flow.port))
    )


def decode_flow(text: str) -> Flow | None:
    """The flow that `encode_flow` was given; None for anything else."""
    parts = text.split(_SEPARATOR)
    if len(parts) != 4 or parts[1] not in _PROTOCOLS or not _PORT.fullmatch(parts[3]):
        return None
    return Flow(parts[0], parts[1], parts[2].strip("[]"), int(parts[3]))


def flow_of(owner: str, received: str) -> Flow | None:
    """The flow of a binding, from its owner and its `received` URI, which `Flow.uri` made."""
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
    """The parameters for the Record-Route URI of a request that creates a dialog."""
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
    """The content of a Route's parameters; None if the farm did not write them for this dialog."""
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
    """The URI of a Route that has the owner send a request along the flow."""
    text = encode_flow(flow)
    return f"sip:{node_host};lr;f={text};s={_sign(key, 'f', call_id, text)}"


def read_owner_route(key: bytes, parameters: dict[str, str], call_id: str) -> Flow | None:
    """The flow that the parameters of a Route name; None if no node of the farm wrote them."""
    text = parameters.get("f", "")
    if not _same(parameters.get("s", ""), _sign(key, "f", call_id, text)):
        return None
    return decode_flow(text)


def parameters_of(uri: str) -> dict[str, str]:
    """The URI parameters by their names in lower case."""
    found = {}
    for parameter in uri[uri.rfind("@") + 1 :].split(";")[1:]:
        name, _, value = parameter.partition("=")
        found[name.lower()] = value
    return found


def _same(given: str, signature: str) -> bool:
    return given.isascii() and compare_digest(given, signature)


def _sign(key: bytes, *parts: str) -> str:
    return blake2s(joined(*parts), key=key, digest_size=SIGNATURE_BYTES).hexdigest()
