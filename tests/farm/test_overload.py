"""A node with more work than it can do refuses new requests, and serves the rest.

The node's Kamailio stands still while messages come in. So it is as far behind as after seconds of
too many calls, on a machine of any speed.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.lab import Lab
from tests.farm.asking import add_subscriber, eventually, lab_of_three, sipfarm_json
from tests.farm.calling import call
from tests.farm.raw_phone import RawPhone
from tests.farm.test_trunks import Gateway, Trunks, at, dial, refuse, until_taken

CALLS = 100
"""They fit in the memory of a socket with the kernel's defaults."""
EMERGENCY = "sip:112@farm.test"
CONNECTIONS = ("tcp", "tls", "ws", "tcp")
IMPATIENT = {"proxy.shed_delay_ms": 2, "proxy.source_requests_per_s_max": 0}
"""With these, what is served after a standstill is few, on a machine of any speed."""
DELAYS = 4
"""Of those that a node allows, so long it stands still."""


def shed(lab: Lab, name: str) -> int:
    """What `sipfarm status` tells of a node's refusals."""
    nodes = sipfarm_json(lab, name, "status")["nodes"]
    (status,) = (each for each in nodes if each["name"] == name)
    assert status["proxy"] == "ok"
    return int(status["shed"])


@pytest.fixture
def impatient_lab(no_lab: None) -> Lab:
    """Three nodes that are soon behind."""
    return lab_of_three(IMPATIENT)


@pytest.fixture
def rescue(impatient_lab: Lab) -> Iterator[Gateway]:
    """A gateway that takes emergency calls."""
    trunks = Trunks(impatient_lab)
    with Gateway(impatient_lab, "p4", "carrier") as gateway:
        trunks.run("add", "rescue", "--prefixes", "+888", "--gateway", at(gateway))
        trunks.run("emergency", "--numbers", "112", "--trunks", "rescue")
        yield gateway


def test_a_node_that_is_behind_refuses_new_calls_and_serves_the_rest(
    impatient_lab: Lab, rescue: Gateway
) -> None:
    lab = impatient_lab
    with (
        RawPhone(lab, "p5", "carol") as carol,
        RawPhone(lab, "p6", "dave") as dave,
        RawPhone(lab, "p1", "alice") as alice,
        RawPhone(lab, "p2", "bob") as bob,
        RawPhone(lab, "p8", "bob") as in_need,
        RawPhone(lab, "p7", "carol") as many,
        ThreadPoolExecutor(3) as pool,
    ):
        assert dave.register("n2").code == bob.register("n2").code == 200
        until_taken(pool, in_need, rescue, "n1", EMERGENCY)
        calling, called = call(carol, dave, "n1")
        talking, listening = call(alice, bob, "n1")
        lab.freeze("n1", "kamailio")
        try:
            for number in range(CALLS):
                # Each is looked for in the farm: they take the node longer than its patience.
                text = many.request_text(
                    "INVITE",
                    f"sip:nobody-{number}@farm.test",
                    from_uri="sip:stranger@example.org",
                    call_id=f"storm-{number}",
                    cseq=1,
                )
                many.send("n1", text)
            bye = pool.submit(calling.ask, "n1", "BYE", called)
            held = pool.submit(talking.ask, "n1", "INVITE", listening)
            helped = dial(pool, in_need, "n1", EMERGENCY, call_id="in-need")
            # That messages grow old is what this is about.
            time.sleep(DELAYS * lab.config("n1").proxy.shed_delay_ms / 1000)
        finally:
            lab.thaw("n1", "kamailio")
        assert bye.result().code == held.result().code == 200
        refuse(rescue, rescue.await_request("INVITE"), 486, "Busy Here")
        assert helped.result().code == 486
        assert talking.ask("n1", "BYE", listening).code == 200
        answers = [many.receive() for _ in range(CALLS)]
        codes = Counter(answer.code for answer in answers)
        assert set(codes) == {503, 404}, codes
        for answer in answers:
            assert answer.code != 503 or 1 <= int(answer.get("Retry-After")) <= 5

        def welcome() -> bool:
            text = many.request_text("INVITE", "sip:nobody@farm.test", call_id="late", cseq=1)
            many.send("n1", text)
            return many.receive().code == 407

        eventually(welcome, "new calls are taken again")
        eventually(lambda: shed(lab, "n1") >= codes[503], "the operator is told")
        assert dave.register("n2", ";expires=0").code == 200
        assert bob.register("n2", ";expires=0").code == 200


def test_requests_on_connections_are_refused_as_well(no_lab: None) -> None:
    """Nothing waits in the node's UDP sockets, and still its workers have no rest."""
    lab = Lab.up(1, settings=IMPATIENT)
    add_subscriber(lab, "carol")
    codes: Counter[int] = Counter()
    with contextlib.ExitStack() as stack:
        phones = [
            stack.enter_context(RawPhone(lab, "p5", "carol", tcp_to="n1", over=over))
            for over in CONNECTIONS
        ]

        def hurry() -> bool:
            """Whether some of many requests are refused. They are all there when the first is read:
            on a fast machine the node would have a rest between two of them."""
            lab.freeze("n1", "kamailio")
            try:
                for number in range(CALLS):
                    for phone in phones:
                        text = phone.request_text(
                            "OPTIONS", "sip:nobody@farm.test", call_id=f"hurry-{number}", cseq=1
                        )
                        phone.send("n1", text)
            finally:
                lab.thaw("n1", "kamailio")
            codes.update(phone.receive().code for phone in phones for _ in range(CALLS))
            return codes[503] > 0

        lab.freeze("n1", "kamailio")
        try:
            text = phones[0].request_text("OPTIONS", "sip:farm.test", call_id="first", cseq=1)
            phones[0].send("n1", text)
        finally:
            lab.thaw("n1", "kamailio")
        assert phones[0].receive().code == 200, "what was frozen has waited, and is not behind"
        eventually(hurry, "requests are refused")
        assert set(codes) <= {503, 404, 407}, codes

        def welcome() -> bool:
            answers = [
                phone.ask("n1", "OPTIONS", "sip:farm.test", call_id="late").code for phone in phones
            ]
            return answers == [200] * len(phones)

        eventually(welcome, "all are served again")
