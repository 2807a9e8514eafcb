"""What attackers send, and what is seen of it on a node.

In: a lab, and an attacker's socket in it (`tests/farm/raw_phone.py`). Out: Kamailio's own counts
and the size of its log, before and after.
"""

import time
from collections.abc import Callable
from typing import Any

from deploy.lab import Lab
from overlay.kamailio import rpc
from tests.farm.raw_phone import RawPhone

ANSWER_S = 5.0
"""How soon a neighbour of the attacker must have an answer. A node that is stopped takes longer,
and a busy machine does not."""


def counted(lab: Lab, node: str, counter: str) -> int:
    """How often a node's routes have counted this (`proxy/counters.py`)."""
    return int(str(rpc.ask(lab.config(node).kamailio_socket, "cnt.get", "sipfarm", counter)))


def shared_bytes(lab: Lab, node: str) -> int:
    """How much of Kamailio's shared memory is in use on a node."""
    answer: Any = rpc.ask(lab.config(node).kamailio_socket, "core.shmmem", "b")
    return int(answer["real_used"])


def log_bytes(lab: Lab, node: str) -> int:
    """The size of what Kamailio has logged on a node."""
    return lab.node(node).log("kamailio").stat().st_size


def is_served(phone: RawPhone, node: str) -> bool:
    """Whether a phone that does no harm gets its answer from this node in time."""
    return phone.ask(node, "OPTIONS", f"sip:{phone.farm}", timeout_s=ANSWER_S).code == 200


def flood_until(
    phone: RawPhone, node: str, text: str, per_s: int, seen: Callable[[], bool], timeout_s: float
) -> int:
    """Send the text at this rate until something is seen; how often it was sent."""
    began_s = time.monotonic()
    sent = 0
    while not seen():
        elapsed_s = time.monotonic() - began_s
        assert elapsed_s < timeout_s, f"sent {sent} times, and nothing was seen"
        for _ in range(min(per_s, round(per_s * elapsed_s) - sent)):
            phone.send(node, text)
            sent += 1
        time.sleep(0.02)
    return sent


def answers(phone: RawPhone) -> int:
    """How many messages have come that nobody has read yet."""
    count = 0
    while True:
        try:
            phone.receive_bytes(0.3)
        except TimeoutError:
            return count
        count += 1
