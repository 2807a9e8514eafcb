"""A worker with a fake Kamailio on one side and a daemon that plays its part on the other."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from overlay import config as configuration
from overlay.control import messages
from overlay.control.messages import Target
from overlay.errors import UnavailableError
from proxy.overlay_client import OverlayClient
from proxy.settings import Settings
from proxy.worker import RateLimitedLog, Worker
from tests.unit.proxy.fake_ksr import FakeKsr

KEY = b"k" * 32


@dataclass
class FakeDaemon:
    """Answers by request type; None is a daemon that cannot be reached."""

    answers: dict[type, messages.Answers | None] = field(default_factory=dict)
    asked: list[messages.Requests] = field(default_factory=list)

    def ask(self, request: messages.Requests, deadline_s: float) -> messages.Answers:
        assert 0 < deadline_s <= 1
        self.asked.append(request)
        answer = self.answers.get(type(request))
        if answer is None:
            raise UnavailableError("no answer")
        return answer

    def located(self, *targets: Target, reach: messages.Reach = messages.Reach.FOUND) -> None:
        """What `Locate` is answered."""
        self.answers[messages.Locate] = messages.Located(id=1, reach=reach, targets=targets)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def kamailio() -> FakeKsr:
    return FakeKsr()


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon()


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeWorker = Callable[..., Worker]


@pytest.fixture
def make_worker(kamailio: FakeKsr, daemon: FakeDaemon, clock: Clock) -> MakeWorker:
    """A worker with settings of its own: `make_worker(proxy={"authenticate": True})`."""

    def make(**sections: dict[str, object]) -> Worker:
        data: dict[str, object] = {
            "farm": {"name": "farm.test"},
            "node": {"name": "n1", "address": "192.0.2.1"},
            "proxy": {"authenticate": False},
        }
        data.update(sections)
        config = configuration.parse(data, "test")
        return Worker(
            ksr=kamailio.ksr,
            settings=Settings.from_config(config, KEY),
            overlay=OverlayClient(daemon, kamailio.counters.inc, clock),
            log=RateLimitedLog(kamailio.crit, clock),
            clock=clock,
        )

    return make


@pytest.fixture
def worker(make_worker: MakeWorker) -> Worker:
    return make_worker()
