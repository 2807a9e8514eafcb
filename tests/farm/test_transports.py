"""Calls between transports: the route that the farm gives each side works, through any node."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest

from deploy.lab import Lab, Phone, certificates
from tests.farm.asking import add_subscriber, ended_record, locate, one_record, sipfarm
from tests.farm.calling import Side, call
from tests.farm.raw_phone import RawPhone, socket_on
from tests.sip.credentials import PASSWORD
from tests.sip.ways import over_tls, uri_transport

CALLS = (
    ("tls", "udp"),
    ("udp", "tls"),
    ("tls", "tls"),
    ("tcp", "tls"),
    ("ws", "udp"),
    ("udp", "wss"),
    ("wss", "tls"),
    ("tls", "ws"),
    ("ws", "wss"),
    ("tcp", "ws"),
)
"""Caller's and callee's transports, so that each meets each kind of the other side."""


def _phone(
    stack: ExitStack, lab: Lab, host: str, user: str, node: str, over: str, *, ipv6: bool = False
) -> RawPhone:
    connection = {} if over == "udp" else {"tcp_to": node, "over": over}
    phone = stack.enter_context(RawPhone(lab, host, user, ipv6=ipv6, **connection))
    assert phone.register(node).code == 200
    stack.callback(phone.register, node, ";expires=0")
    return phone


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as stack:
        yield stack


def _node_of(side: Side, own: str, other: str) -> str:
    """Where a side can send to: over UDP anywhere, otherwise where its connection is."""
    return other if side.phone.transport == "udp" else own


@pytest.mark.parametrize(("caller", "callee"), CALLS)
def test_a_call_between_transports(lab: Lab, stack: ExitStack, caller: str, callee: str) -> None:
    carol = _phone(stack, lab, "p3", "carol", "n1", caller)
    dave = _phone(stack, lab, "p4", "dave", "n2", callee)
    calling, called = call(carol, dave, "n1")
    for side, transport in ((calling, caller), (called, callee)):
        assert side.first_hop.get("transport", "udp") == uri_transport(transport)
    assert len(calling.dialog.routes) == len(called.dialog.routes) == (1 if caller == callee else 2)
    assert called.ask(_node_of(called, "n2", "n3"), "INVITE", calling).code == 200
    assert calling.ask(_node_of(calling, "n1", "n3"), "UPDATE", called).code == 200
    ending = called if callee == "udp" else calling
    own = "n2" if ending is called else "n1"
    other = calling if ending is called else called
    assert ending.ask(_node_of(ending, own, "n3"), "BYE", other).code == 200
    record = one_record(lab, calling.call_id)
    assert record.state == "complete"
    for side in (calling, called):
        assert all("Route" not in dict(message.fields) for message in side.seen)


@pytest.mark.parametrize("over", ["udp", "tls"])
def test_calls_between_ipv6_and_ipv4(lab: Lab, stack: ExitStack, over: str) -> None:
    carol = _phone(stack, lab, "p3", "carol", "n1", over, ipv6=True)
    dave = _phone(stack, lab, "p4", "dave", "n2", "udp")
    for caller, callee, node in ((carol, dave, "n1"), (dave, carol, "n2")):
        calling, called = call(caller, callee, node)
        ending = "n3" if called.phone.transport == "udp" else "n1"
        assert called.ask(ending, "BYE", calling).code == 200
        assert one_record(lab, calling.call_id).state == "complete"


def test_the_farms_name_has_ipv6_addresses(lab: Lab) -> None:
    dug = lab.run_on("p1", ["dig", "+short", "AAAA", lab.farm], timeout_s=10)
    assert sorted(dug.stdout.split()) == [node.address6 for node in lab.nodes]


@pytest.mark.parametrize(("over", "code"), [("tls", 200), ("wss", 200), ("udp", 480), ("ws", 480)])
def test_a_sips_uri_is_followed_encrypted_or_not_at_all(
    lab: Lab, stack: ExitStack, over: str, code: int
) -> None:
    # A subscriber of his own: what another test's phone left behind may be encrypted.
    add_subscriber(lab, f"sips-{over}")
    carol = _phone(stack, lab, "p3", "carol", "n1", "tls")
    dave = _phone(stack, lab, "p4", f"sips-{over}", "n2", over)
    uri = dave.aor.replace("sip:", "sips:", 1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(carol.ask, "n1", "OPTIONS", uri)
        if code == 200:
            dave.reply(dave.await_request("OPTIONS"), 200, "OK")
        assert answer.result().code == code
    if code == 480:
        assert "380 " in answer.result().get("Warning")


LARGE = f"Subject: {'x' * 4000}"


@pytest.mark.parametrize("over", ["udp", "wss"])
def test_a_large_call_goes_over_tcp(lab: Lab, stack: ExitStack, over: str) -> None:
    carol = _phone(stack, lab, "p3", "carol", "n1", over)
    dave = _phone(stack, lab, "p4", "dave", "n2", "udp")
    with socket_on(lab, "p4", socket.SOCK_STREAM) as listening, ThreadPoolExecutor(1) as pool:
        listening.bind((dave.address, dave.port))
        listening.listen()
        listening.settimeout(10)
        answer = pool.submit(carol.ask, "n1", "INVITE", dave.aor, [LARGE], timeout_s=15)
        connection, _ = listening.accept()
        with RawPhone.on_connection(lab, connection, "dave") as called:
            invite = called.await_request("INVITE")
            assert invite.get("Via").startswith("SIP/2.0/TCP ")
            assert ";transport=tcp" in invite.get("Record-Route").partition(",")[0]
            called.reply(invite, 486, "Busy Here")
            assert answer.result().code == 486


@pytest.mark.parametrize("over", ["udp", "wss"])
@pytest.mark.parametrize("lost", ["refused", "swallowed"])
def test_a_large_call_goes_over_udp_if_there_is_no_other_way(
    lab: Lab, stack: ExitStack, over: str, lost: str
) -> None:
    carol = _phone(stack, lab, "p3", "carol", "n1", over)
    dave = _phone(stack, lab, "p4", "dave", "n2", "udp")
    if lost == "swallowed":
        _swallow_tcp(stack, lab, "p4")
    for _ in range(2):
        calling, called = call(carol, dave, "n1", LARGE)
        assert called.seen[0].get("Via").startswith("SIP/2.0/UDP ")
        assert called.ask("n3", "BYE", calling).code == 200


def _swallow_tcp(stack: ExitStack, lab: Lab, host: str) -> None:
    """What a firewall does that tells nobody."""
    rule = (
        "table inet deaf { chain in { type filter hook input priority 0; tcp flags syn drop; }; }"
    )
    assert lab.run_on(host, ["nft", rule], timeout_s=10).returncode == 0
    stack.callback(lab.run_on, host, ["nft", "delete table inet deaf"], timeout_s=10)


HANDSHAKE = (
    "GET / HTTP/1.1",
    "Host: farm.test",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: sip",
)


@pytest.mark.parametrize(
    ("port", "instead", "code"),
    [
        (8080, "", 101),
        (8080, "Host: n1.farm.test:8080", 101),
        (8080, "Host: elsewhere.test", 403),
        (8080, "Upgrade: h2c", 404),
        (8080, "POST / HTTP/1.1", 404),
        (8080, "Sec-WebSocket-Protocol: msrp", 400),
        (8080, "Sec-WebSocket-Version: 8", 426),
        (8080, "Origin: https://phone.farm.test", 101),
        (8080, "Origin: https://evil.test", 403),
        (5060, "", 403),
    ],
)
def test_what_becomes_a_websocket(lab: Lab, port: int, instead: str, code: int) -> None:
    name = instead.partition(" ")[0]
    first, *fields = HANDSHAKE
    if name == "POST":
        first = instead
    elif instead:
        fields = [each for each in fields if not each.startswith(name)] + [instead]
    with socket_on(lab, "p3", socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect((lab.node("n1").address, port))
        connection.sendall("\r\n".join([first, *fields, "", ""]).encode())
        answer = connection.recv(65_535).decode()
    assert answer.split()[1] == str(code), answer


def test_a_real_phone_finds_tls_in_dns(lab: Lab) -> None:
    with Phone(lab, "p6", "dave", PASSWORD, transport="tls") as dave:
        assert dave.register().code == 200
        found = [each.received for each in locate(lab, "n1", "dave").bindings if not each.removed]
        assert [uri.partition(";")[2] for uri in found] == ["transport=tls"]
        assert dave.unregister().code == 200


@pytest.mark.parametrize("over", ["tls", "wss"])
def test_a_phone_that_closed_its_connection_is_not_dialled(
    lab: Lab, stack: ExitStack, over: str
) -> None:
    carol = _phone(stack, lab, "p3", "carol", "n1", "udp")
    with RawPhone(lab, "p4", "dave", tcp_to="n2", over=over) as dave:
        assert dave.register("n2").code == 200
    stack.callback(_forget, lab, dave)
    assert carol.ask("n1", "INVITE", dave.aor).code == 430


def _forget(lab: Lab, phone: RawPhone) -> None:
    with RawPhone(lab, "p4", phone.user) as again:
        assert again.register("n2", ";expires=0", uri=phone.contact).code == 200


def test_real_phones_over_tls_and_udp(lab: Lab, alice: Phone) -> None:
    names = {lab.farm: lab.node("n2").address}
    with Phone(lab, "p5", "dave", PASSWORD, names=names, transport="tls") as dave:
        assert dave.register().code == 200
        (bound,) = [each for each in locate(lab, "n3", "dave").bindings if not each.removed]
        assert (bound.owner, bound.received.partition(";")[2]) == ("n2", "transport=tls")
        answered = alice.call(dave.aor)
        assert answered.state == "CONFIRMED", answered
        dave.wait("call", "CONFIRMED")
        dave.hang_up()
        assert alice.wait("call", "DISCONNECTED").code == 200
        dave.wait("call", "DISCONNECTED")
        assert ended_record(lab, answered.call_id).hangup == "callee"
        answered = dave.call(alice.aor)
        assert answered.state == "CONFIRMED", answered
        alice.wait("call", "CONFIRMED")
        dave.hang_up()
        alice.wait("call", "DISCONNECTED")
        assert ended_record(lab, answered.call_id).hangup == "caller"


def test_an_expired_certificate_costs_tls_alone_and_is_named(breakable_lab: Lab) -> None:
    lab = breakable_lab
    node = lab.node("n3")
    try:
        certificates.issue(node, lab.farm, lifetime=timedelta(days=-1))
        checked = sipfarm("check-config", "--identity", "--config", str(node.config))
        assert checked.returncode == 4
        assert "expired" in checked.stderr
        _restart(lab, "n3")
        dug = lab.run_on("p1", ["dig", "+short", "SRV", f"_sips._tcp.{lab.farm}"], timeout_s=10)
        assert sorted(line.split()[-1] for line in dug.stdout.splitlines()) == [
            f"n1.{lab.farm}.",
            f"n2.{lab.farm}.",
        ]
        with RawPhone(lab, "p3", "carol") as carol:
            assert carol.register("n3", ";expires=0").code == 200
        with pytest.raises(ConnectionRefusedError):
            RawPhone(lab, "p3", "carol", tcp_to="n3", over="tls")
    finally:
        certificates.issue(node, lab.farm)
        _restart(lab, "n3")
    with RawPhone(lab, "p3", "carol", tcp_to="n3", over="tls") as carol:
        assert carol.register("n3", ";expires=0").code == 200


def test_a_renewed_certificate_is_shown_without_a_restart(lab: Lab) -> None:
    node = lab.node("n2")

    def shown() -> object:
        with socket_on(lab, "p3", socket.SOCK_STREAM) as plain:
            plain.connect((node.address, lab.config("n2").proxy.tls_port))
            with over_tls(plain, lab.farm, certificates.AUTHORITY) as secured:
                return (secured.getpeercert() or {})["serialNumber"]

    before = shown()
    certificates.issue(node, lab.farm)
    assert shown() == before
    command = ("render", "--config", str(node.config), "--out", str(node.etc), "--reload-tls")
    done = sipfarm(*command)
    assert done.returncode == 0, done.stderr
    assert shown() != before


def _restart(lab: Lab, name: str) -> None:
    node = lab.node(name)
    lab.stop(name)
    done = sipfarm("render", "--config", str(node.config), "--out", str(node.etc))
    assert done.returncode == 0, done.stderr
    lab.start(name)
    lab.wait_ready(every_service=True)
