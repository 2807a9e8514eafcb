"""What the farm signs into its Record-Routes and Routes."""

from hypothesis import given
from hypothesis import strategies as st

from proxy import route_token
from proxy.route_token import DialogRoute, Flow, read_owner_route, read_record_route

KEY = b"k" * 32
CALLER = Flow("n1", "tcp", "192.0.2.7", 4711)
CALLEE = Flow("n2", "udp", "2001:db8::7", 1024)


def _parameters(caller: Flow | None = None, callee: Flow | None = None) -> dict[str, str]:
    uri = "sip:farm.test;lr;" + route_token.write_record_route(KEY, "call", "from", caller, callee)
    return route_token.parameters_of(uri)


def test_each_side_is_recognised_and_sent_to_the_other() -> None:
    parameters = _parameters(CALLER, CALLEE)
    assert read_record_route(KEY, parameters, "call", "from", "to") == DialogRoute(True, CALLEE)
    assert read_record_route(KEY, parameters, "call", "to", "from") == DialogRoute(False, CALLER)


def test_without_flows_there_is_only_a_signature() -> None:
    parameters = _parameters()
    assert parameters.keys() == {"lr", "s"}
    assert read_record_route(KEY, parameters, "call", "from", "to") == DialogRoute(True, None)


def test_another_call_another_key_or_another_flow_is_not_believed() -> None:
    parameters = _parameters(CALLER, None)
    assert read_record_route(KEY, parameters, "other", "from", "to") is None
    assert read_record_route(KEY, parameters, "call", "x", "y") is None
    assert read_record_route(b"x" * 32, parameters, "call", "from", "to") is None
    forged = {**parameters, "u": route_token.encode_flow(CALLEE)}
    assert read_record_route(KEY, forged, "call", "from", "to") is None
    swapped = {"lr": "", "s": parameters["s"], "d": parameters["u"]}
    assert read_record_route(KEY, swapped, "call", "from", "to") is None
    assert read_record_route(KEY, {"s": "é"}, "call", "from", "to") is None


def test_a_nul_does_not_make_a_call_of_another() -> None:
    """The farm signed a call whose Call-ID ends in a NUL and a tag: that is no word for the call
    without them."""
    text = route_token.write_record_route(KEY, "call\0from", "", None, None)
    parameters = route_token.parameters_of(f"sip:farm.test;lr;{text}")
    assert read_record_route(KEY, parameters, "call", "from", "to") is None
    assert read_record_route(KEY, parameters, "call", "from\0", "to") is None


def test_a_handed_over_flow_is_believed_for_its_call_alone() -> None:
    uri = route_token.write_owner_route(KEY, "n2.farm.test", "call", CALLEE)
    parameters = route_token.parameters_of(uri)
    assert read_owner_route(KEY, parameters, "call") == CALLEE
    assert read_owner_route(KEY, parameters, "other") is None
    assert read_owner_route(KEY, {**parameters, "f": "n2~tcp~10.0.0.1~1"}, "call") is None
    assert read_owner_route(KEY, {}, "call") is None


_FLOWS = st.builds(
    Flow,
    st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    st.sampled_from(["udp", "tcp", "tls", "ws", "wss"]),
    st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)),
    st.integers(1, 65535),
)


@given(_FLOWS)
def test_a_flow_survives_its_text_and_its_uri(flow: Flow) -> None:
    assert route_token.decode_flow(route_token.encode_flow(flow)) == flow
    assert route_token.flow_of(flow.owner, flow.uri) == flow


@given(st.text(max_size=60))
def test_anything_else_is_no_flow(text: str) -> None:
    flow = route_token.decode_flow(text)
    assert flow is None or flow.protocol in {"udp", "tcp", "tls", "ws", "wss"}
    route_token.flow_of("n1", text)
    route_token.parameters_of(text)


def test_kamailio_is_told_of_an_encrypted_websocket_in_its_own_way() -> None:
    flow = Flow("n1", "wss", "192.0.2.9", 4711)
    assert flow.hop == "sips:192.0.2.9:4711;transport=ws"
    assert route_token.flow_of("n1", flow.uri) == flow
    assert Flow("n1", "ws", "2001:db8::9", 1).hop == "sip:[2001:db8::9]:1;transport=ws"
