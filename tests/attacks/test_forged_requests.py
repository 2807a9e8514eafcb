"""What has no good signature is a stranger's, whatever it looks like."""

import contextlib
import resource
import socket

import pytest

from deploy.lab import Lab
from overlay.config.sections import ProxySection
from proxy.render import connections_max
from tests.attacks.hostile import answers, counted, flood_until, is_served, log_bytes
from tests.farm.asking import eventually
from tests.farm.raw_phone import SIP_PORT, RawPhone, socket_on

MOST = ProxySection().source_requests_per_s_max
FORGED = "0" * 24
LOG_BYTES_MAX = 4_096
"""A line a second, not one for each."""


@pytest.mark.parametrize(
    ("method", "to_tag", "route"),
    [
        ("BYE", "callee", "<sip:{farm};lr;s={forged}>"),
        ("INVITE", "", "<sip:n2.{farm};lr;f=n2~udp~192.0.2.9~5060;s={forged}>"),
        ("ACK", "callee", "<sip:{farm};lr;s={forged}>"),
        ("CANCEL", "", ""),
    ],
    ids=["in a dialog", "handed over", "ACK", "CANCEL"],
)
def test_a_flood_of_forged_requests_is_a_flood(
    lab: Lab, method: str, to_tag: str, route: str
) -> None:
    """All of 8,998 requests were answered, or looked up, whatever the limit."""
    # Each has an address of its own, as a flood makes its address unheard for some seconds.
    host = {"BYE": "p3", "INVITE": "p4", "ACK": "p5", "CANCEL": "p6"}[method]
    fields = [f"Route: {route.format(farm=lab.farm, forged=FORGED)}"] if route else []
    with RawPhone(lab, host, "mallory") as mallory, RawPhone(lab, "p7", "carol") as neighbour:
        text, _ = mallory.request_text(
            *(method, f"sip:nobody@{lab.farm}", fields),
            to_tag=to_tag,
            from_uri="sip:mallory@elsewhere.test",
            call_id=f"forged-{method}",
            cseq=1,
        )
        before = counted(lab, "n2", "floods")
        sent = flood_until(
            *(mallory, "n2", text, 3 * MOST),
            lambda: counted(lab, "n2", "floods") > before + MOST,
            30,
        )
        assert is_served(neighbour, "n2")
        assert answers(mallory) < sent


def test_nobody_fills_the_log(lab: Lab) -> None:
    """Connections and datagrams of garbage wrote 15 GB a day."""
    garbage = [
        b"garbage\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nContent-Length: x\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nVia: x\r\nContent-Length: 0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"x" * 70_000,
        b"\x16\x03\x01\x02\x00\x01\x00",
    ]
    before = log_bytes(lab, "n3")
    with RawPhone(lab, "p6", "mallory") as mallory, RawPhone(lab, "p7", "carol") as neighbour:
        for _ in range(30):
            for data in garbage:
                mallory.send_bytes("n3", data[:60_000])
                with socket_on(lab, "p6", socket.SOCK_STREAM) as connection:
                    connection.settimeout(5)
                    connection.connect((lab.node("n3").address, SIP_PORT))
                    connection.sendall(data)
        assert is_served(neighbour, "n3")
    assert log_bytes(lab, "n3") - before < LOG_BYTES_MAX


def test_connections_that_are_refused_fill_no_log(lab: Lab) -> None:
    """The process that accepts connections wrote a line for each that was one too many."""
    most = connections_max(lab.config("n3"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, most + 2_000), hard))
    address = lab.node("n3").address, SIP_PORT
    before = log_bytes(lab, "n3")
    try:
        with contextlib.ExitStack() as connections:
            for _ in range(most + 200):
                connection = connections.enter_context(socket_on(lab, "p6", socket.SOCK_STREAM))
                connection.settimeout(5)
                connection.connect(address)
            refused = [connections.enter_context(socket_on(lab, "p6", socket.SOCK_STREAM))]
            refused[0].settimeout(5)
            refused[0].connect(address)
            # The node closes it, as it has no room for more.
            with contextlib.suppress(ConnectionResetError):
                assert refused[0].recv(1) == b""
            with RawPhone(lab, "p7", "carol") as neighbour:
                assert is_served(neighbour, "n3"), "UDP goes on"
            assert log_bytes(lab, "n3") - before < LOG_BYTES_MAX
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with RawPhone(lab, "p7", "carol") as neighbour:
        eventually(lambda: _is_accepted(lab), "connections are accepted again")
        assert is_served(neighbour, "n3")


def _is_accepted(lab: Lab) -> bool:
    try:
        with RawPhone(lab, "p7", "carol", tcp_to="n3") as phone:
            return is_served(phone, "n3")
    except (OSError, TimeoutError):
        return False
