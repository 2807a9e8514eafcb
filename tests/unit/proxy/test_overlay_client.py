"""The worker's questions to its daemon end with an answer or nothing, and never wait for a dead
one.
"""

from overlay.base.errors import UnavailableError
from overlay.control import control_protocol, proxy_messages
from overlay.control.client import RefusedError
from overlay.control.proxy_messages import Locate
from overlay.records.targets import Reach
from proxy import counters
from proxy.overlay_client import MISSED_DEADLINES_MAX, PAUSE_S, OverlayClient
from tests.unit.proxy.conftest import Clock, FakeDaemon

DEADLINE_S = 0.15


class SlowDaemon:
    """Answers nothing, and takes its time."""

    def __init__(self, clock: Clock, takes_s: float) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.asked = 0

    def ask(
        self, request: control_protocol.ControlRequest, deadline_s: float
    ) -> control_protocol.ControlAnswer:
        self.asked += 1
        self.clock.now_s += self.takes_s
        raise UnavailableError("no answer")


def _count(_name: str) -> None:
    pass


def test_an_answer_is_handed_on(daemon: FakeDaemon, clock: Clock) -> None:
    daemon.located(reach=Reach.OFFLINE)
    client = OverlayClient(daemon, _count, clock)
    located = client.locate("bob@farm.test", DEADLINE_S)
    assert located is not None
    assert located.reach is Reach.OFFLINE


def test_an_answer_to_something_else_is_none(daemon: FakeDaemon, clock: Clock) -> None:
    daemon.answers[Locate] = proxy_messages.Secrets(id=1, ha1="", ha1_sha256="")
    assert OverlayClient(daemon, _count, clock).locate("bob@farm.test", DEADLINE_S) is None


def test_after_a_failed_connection_questions_fail_at_once_for_a_while(clock: Clock) -> None:
    daemon = SlowDaemon(clock, 0.0)
    counted: list[str] = []
    client = OverlayClient(daemon, counted.append, clock)
    assert client.locate("bob@farm.test", DEADLINE_S) is None
    assert client.out_of_reach
    assert client.locate("bob@farm.test", DEADLINE_S) is None
    assert daemon.asked == 1
    assert counted == [counters.DAEMON_FAILED] * 2
    clock.now_s += PAUSE_S
    assert not client.out_of_reach
    client.locate("bob@farm.test", DEADLINE_S)
    assert daemon.asked == 2


def test_a_missed_deadline_alone_is_a_slow_quorum(clock: Clock) -> None:
    daemon = SlowDaemon(clock, DEADLINE_S)
    client = OverlayClient(daemon, _count, clock)
    for _ in range(MISSED_DEADLINES_MAX - 1):
        client.locate("bob@farm.test", DEADLINE_S)
        assert not client.out_of_reach
    client.locate("bob@farm.test", DEADLINE_S)
    assert client.out_of_reach


def test_a_refusal_is_an_answer_of_a_daemon_that_lives(clock: Clock) -> None:
    class Refusing:
        def ask(
            self, request: control_protocol.ControlRequest, deadline_s: float
        ) -> control_protocol.ControlAnswer:
            raise RefusedError(control_protocol.Refused(id=1, code="busy", reason="busy"))

    client = OverlayClient(Refusing(), _count, clock)
    for _ in range(10):
        assert client.locate("bob@farm.test", DEADLINE_S) is None
    assert not client.out_of_reach
