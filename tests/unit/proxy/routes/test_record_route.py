"""What the farm's Record-Route says of the two sides of a dialog."""

import pytest

from overlay.records.targets import Target
from proxy import route_token
from proxy.routes import relay
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr

OLD = Target(uri="sip:bob@192.0.2.20:5060")
TCP = Target(uri="sip:bob@192.0.2.20;transport=tcp")


@pytest.mark.parametrize(
    ("protocol", "source", "contact", "flow"),
    [
        ("udp", ("192.0.2.10", 5060), "<sip:alice@192.0.2.10:5060>", ""),
        ("udp", ("192.0.2.10", 999), "sip:alice@192.0.2.10", ""),
        ("udp", ("198.51.100.1", 999), "<sip:alice@10.0.0.9>", "u=n1~udp~198.51.100.1~999"),
        ("tcp", ("192.0.2.10", 999), "<sip:alice@192.0.2.10>", "u=n1~tcp~192.0.2.10~999"),
    ],
)
def test_the_callers_flow_is_in_the_record_route(
    worker: Worker,
    kamailio: FakeKsr,
    protocol: str,
    source: tuple[str, int],
    contact: str,
    flow: str,
) -> None:
    message = kamailio.message
    message.protocol, message.source, message.fields["Contact"] = protocol, source, [contact]
    relay.to_targets(worker, "INVITE", (TCP,))
    assert flow in kamailio.inserted[0]
    assert (";u=" in kamailio.inserted[0]) is bool(flow)


def _ends(kamailio: FakeKsr) -> list[dict[str, str]]:
    values = kamailio.inserted[0].removeprefix("Record-Route: ").split(", ")
    return [route_token.parameters_of(each.strip().strip("<>")) for each in values]


@pytest.mark.parametrize("uri", ["sip:bob@192.0.2.20;transport=tls", "sips:bob@192.0.2.20"])
def test_each_side_is_to_send_on_its_own_transport(
    worker: Worker, kamailio: FakeKsr, uri: str
) -> None:
    relay.to_targets(worker, "INVITE", (Target(uri=uri),))
    callee, caller = _ends(kamailio)
    assert callee.pop("transport") == "tls"
    # Once is enough.
    assert caller.pop("e")
    assert callee == caller
    assert caller["r2"] == "on"
    assert "transport" not in caller


@pytest.mark.parametrize(("protocol", "said"), [("udp", None), ("tcp", "tcp"), ("tls", "tls")])
def test_one_transport_on_both_sides_is_said_once(
    worker: Worker, kamailio: FakeKsr, protocol: str, said: str | None
) -> None:
    kamailio.message.protocol = protocol
    relay.to_targets(worker, "INVITE", (Target(uri=f"sip:b@192.0.2.20;transport={protocol}"),))
    (end,) = _ends(kamailio)
    assert (end.get("transport"), end.get("r2")) == (said, None)


def test_a_proxy_in_between_has_no_flow(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.message.source, kamailio.message.vias = ("198.51.100.1", 5060), 2
    relay.to_targets(worker, "INVITE", (OLD,))
    assert ";u=" not in kamailio.inserted[0]
