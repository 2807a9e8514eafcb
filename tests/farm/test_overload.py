"""What a node does with more than it can do: it refuses new requests, and serves the rest.

Its Kamailio stands still while messages come in, so it is as far behind as after seconds of too
many calls, on a machine of any speed.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from deploy.lab import Lab
from tests.farm.asking import eventually, sipfarm_json
from tests.farm.calling import call
from tests.farm.raw_phone import RawPhone

CALLS = 100
"""They fit in the memory of a socket with the kernel's defaults."""
DELAYS = 4
"""Of those that a node allows, so long it stands still."""


def shed(lab: Lab, name: str) -> int:
    """What `sipfarm status` tells of a node's refusals."""
    nodes = sipfarm_json(lab, name, "status")["nodes"]
    (status,) = (each for each in nodes if each["name"] == name)
    assert status["proxy"] == "ok"
    return int(status["shed"])


def test_a_node_that_is_behind_refuses_new_calls_and_ends_old_ones(breakable_lab: Lab) -> None:
    lab = breakable_lab
    with (
        RawPhone(lab, "p5", "carol") as carol,
        RawPhone(lab, "p6", "dave") as dave,
        RawPhone(lab, "p7", "carol") as many,
        ThreadPoolExecutor(1) as pool,
    ):
        assert dave.register("n2").code == 200
        calling, called = call(carol, dave, "n1")
        lab.freeze("n1", "kamailio")
        try:
            for number in range(CALLS):
                text, _ = many.request_text(
                    "INVITE", "sip:nobody@farm.test", call_id=f"storm-{number}", cseq=1
                )
                many.send("n1", text)
            bye = pool.submit(calling.ask, "n1", "BYE", called)
            # That messages grow old is what this is about.
            time.sleep(DELAYS * lab.config("n1").proxy.shed_delay_ms / 1000)
        finally:
            lab.thaw("n1", "kamailio")
        assert bye.result().code == 200
        answers = [many.receive() for _ in range(CALLS)]
        codes = Counter(answer.code for answer in answers)
        assert codes[503] > CALLS / 2, codes
        assert set(codes) <= {503, 407}, codes
        for answer in answers:
            assert answer.code != 503 or 1 <= int(answer.get("Retry-After")) <= 5

        def welcome() -> bool:
            text, _ = many.request_text("INVITE", "sip:nobody@farm.test", call_id="late", cseq=1)
            many.send("n1", text)
            return many.receive().code == 407

        eventually(welcome, "new calls are taken again")
        eventually(lambda: shed(lab, "n1") >= codes[503], "the operator is told")
        assert dave.register("n2", ";expires=0").code == 200
