"""A phone behind a NAT is reached through any node for as long as its own node keeps the NAT open.

The NAT is a firewall on the phone's host. It lets in answers to a packet that went out, or came in,
within the last seconds. In the lab's time, it forgets as fast as the worst home routers.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, eventually
from tests.farm.raw_phone import RawPhone
from tests.sip.message import Message

FORGETS_S = 4
BEHIND = "p8"
PRIVATE = "sip:nadia@192.168.7.7:5060"
_FIREWALL = """table inet nat {
    chain in {
        type filter hook input priority 0; policy drop
        iif lo accept
        ct state established accept
    }
}"""


@pytest.fixture
def farm(no_lab: None) -> Callable[[int], Lab]:
    """A farm that pings so often, and a NAT in front of a host."""

    def up(ping_s: int) -> Lab:
        lab = Lab.up(2, settings={"proxy.nat_ping_s": ping_s})
        for user in ("nadia", "carol"):
            add_subscriber(lab, user)
        lab.phone(BEHIND)
        forget = [
            f"net.netfilter.nf_conntrack_udp_timeout{kind}={FORGETS_S}" for kind in ("", "_stream")
        ]
        for command in (["nft", _FIREWALL], ["sysctl", "-qw", *forget]):
            done = lab.run_on(BEHIND, command, timeout_s=10)
            assert done.returncode == 0, done.stderr
        return lab

    return up


def _behind(lab: Lab, stack: ExitStack) -> RawPhone:
    """A phone that knows nothing of its NAT, and registers at n1."""
    phone = stack.enter_context(RawPhone(lab, BEHIND, "nadia"))
    assert phone.register("n1", uri=PRIVATE).code == 200
    return phone


def _answer_until(phone: RawPhone, method: str, until_s: float) -> Message | None:
    """Answer pings until another request comes, and answer that; None if none comes."""
    while (left_s := until_s - time.monotonic()) > 0:
        try:
            message = phone.receive(left_s)
        except TimeoutError:
            return None
        if message.code == 0:
            phone.reply(message, 200, "OK")
        if message.first_line.startswith(method):
            return message
    return None


def _is_heard(lab: Lab, phone: RawPhone, stack: ExitStack) -> bool:
    """Whether a message that somebody sends through n2 reaches the phone."""
    carol = stack.enter_context(RawPhone(lab, "p3", "carol"))
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(_answer_until, phone, "MESSAGE", time.monotonic() + 5)
        try:
            code = carol.ask("n2", "MESSAGE", phone.aor, timeout_s=4).code
        except TimeoutError:
            code = 0
        return heard.result() is not None and code == 200


def test_pings_keep_a_nat_open_until_the_owner_dies(farm: Callable[[int], Lab]) -> None:
    lab = farm(1)
    with ExitStack() as stack:
        phone = _behind(lab, stack)
        began_s = time.monotonic()
        while time.monotonic() - began_s < 2 * FORGETS_S:
            ping = phone.await_request("OPTIONS")
            assert (ping.uri, ping.source[0]) == (PRIVATE, lab.node("n1").address)
            phone.reply(ping, 200, "OK")
        assert _is_heard(lab, phone, stack)

        lab.kill("n1")
        eventually(lambda: phone.is_left_alone("OPTIONS", 2.5), "nobody pings a flow that is gone")
        assert phone.register("n2", uri=PRIVATE).code == 200
        assert phone.await_request("OPTIONS").source[0] == lab.node("n2").address
        assert _is_heard(lab, phone, stack)

        # Whether the NAT stays open meanwhile is a matter of how fast Kamailio starts.
        assert lab.run_on(BEHIND, ["nft", "delete table inet nat"], timeout_s=10).returncode == 0
        lab.kill("n2", "kamailio")
        eventually(lambda: phone.is_left_alone("OPTIONS", 0.5), "what was on its way has come")
        lab.start("n2", "kamailio")
        assert phone.await_request("OPTIONS", 20).source[0] == lab.node("n2").address

        # The last binding goes, and so do the pings.
        assert phone.register("n2", ";expires=0", uri=PRIVATE).code == 200
        eventually(lambda: phone.is_left_alone("OPTIONS", 2.5), "nobody pings any more")


def test_without_pings_a_nat_forgets(farm: Callable[[int], Lab]) -> None:
    lab = farm(0)
    with ExitStack() as stack:
        phone = _behind(lab, stack)
        assert _is_heard(lab, phone, stack), "not yet"
        assert phone.is_left_alone("OPTIONS", 2 * FORGETS_S)
        assert not _is_heard(lab, phone, stack)
