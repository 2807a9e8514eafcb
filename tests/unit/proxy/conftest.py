"""Fixtures: a worker between a fake Kamailio and a stand-in for the daemon."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from overlay.base.errors import UnavailableError
from overlay.config import config as configuration
from overlay.control import control_protocol, proxy_messages
from overlay.records.subscriber import Policy, with_password
from overlay.records.targets import Reach, Target
from proxy import digest
from proxy.overlay_client import OverlayClient
from proxy.settings import Settings
from proxy.worker import RateLimitedLog, Worker
from tests.unit.proxy.fake_ksr import FakeKsr

KEY = b"k" * 32
PASSWORD = "wonderland"


def secrets_of(user: str, policy: Policy | None = None) -> proxy_messages.Secrets:
    """What the daemon says of a subscriber with the tests' password."""
    record = with_password(f"{user}@farm.test", PASSWORD, version=1)
    return proxy_messages.Secrets(
        id=1, ha1=record.ha1, ha1_sha256=record.ha1_sha256, policy=policy or Policy()
    )


def answer_to(
    kamailio: FakeKsr,
    user: str = "alice",
    *,
    password: str = PASSWORD,
    algorithm: str = "SHA-256",
    nonce: str = "",
    count: int = 1,
) -> str:
    """The credentials that a phone answers a challenge of this node with, in its request."""
    method = kamailio.message.method
    made = nonce or digest.make_nonce(KEY, "n1", time.time(), os.urandom(digest.RANDOM_BYTES))
    text = (
        f'Digest username="{user}", realm="farm.test", nonce="{made}", uri="sip:farm.test", '
        f'algorithm={algorithm}, qop=auth, nc={count:08x}, cnonce="c"'
    )
    found = digest.parse(f'{text}, response="?"')
    assert found is not None
    record = with_password(f"{user}@farm.test", password, version=1)
    ha1 = record.ha1 if algorithm == "MD5" else record.ha1_sha256
    text += f', response="{digest.response(found, ha1, method)}"'
    name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
    kamailio.message.fields[name] = [text]
    return text


@dataclass
class FakeDaemon:
    """Answers by request type; None is a daemon that cannot be reached."""

    answers: dict[type, control_protocol.ControlAnswer | None] = field(
        default_factory=lambda: {proxy_messages.LoginFailed: control_protocol.Done(id=1)}
    )
    asked: list[control_protocol.ControlRequest] = field(default_factory=list)

    def ask(
        self, request: control_protocol.ControlRequest, deadline_s: float
    ) -> control_protocol.ControlAnswer:
        assert 0 < deadline_s <= 1
        self.asked.append(request)
        answer = self.answers.get(type(request))
        if answer is None:
            raise UnavailableError("no answer")
        return answer

    def located(self, *targets: Target, reach: Reach = Reach.FOUND) -> None:
        """What `Locate` is answered."""
        self.answers[proxy_messages.Locate] = proxy_messages.Located(
            id=1, reach=reach, targets=targets
        )


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
