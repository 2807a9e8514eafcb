"""The question to a node's own Kamailio, and the reason given for its silence."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from overlay.config.config import Config
from overlay.config.sections import FarmSection, NodeSection, ProxySection
from overlay.kamailio.options_ping import Questions, why_silent
from tests.sip.message import answered


def config_of(address: str, port: int, run_dir: str = "/nowhere") -> Config:
    """A node's configuration, with its Kamailio there."""
    return Config(
        farm=FarmSection(name="farm.test"),
        node=NodeSection(name="n1", address=address, run_dir=run_dir),
        proxy=ProxySection(port=port),
    )


@pytest.fixture(params=["127.0.0.1", "::1"])
def kamailio(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A socket in Kamailio's place."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listening:
        listening.bind((request.param, 0))
        listening.settimeout(5)
        yield listening


def config_for(kamailio: socket.socket) -> Config:
    return config_of(*kamailio.getsockname()[:2])


@pytest.mark.parametrize(
    ("code", "reason", "counts"),
    [(200, "OK", True), (503, "Busy", True), (100, "Trying", False)],
)
def test_any_final_answer_counts(
    kamailio: socket.socket, code: int, reason: str, counts: bool
) -> None:
    questions = Questions(config_for(kamailio))
    with questions.open() as asking:
        asking.send(questions.next(asking.getsockname()))
        question, sender = kamailio.recvfrom(65_535)
    host = kamailio.getsockname()[0]
    shown = f"[{host}]" if ":" in host else host
    assert question.startswith(f"OPTIONS sip:{shown}:".encode())
    assert f"Via: SIP/2.0/UDP {shown}:{sender[1]};".encode() in question
    assert questions.answered_by(answered(question, code, reason)) is counts


def test_only_answers_to_the_own_questions_count(kamailio: socket.socket) -> None:
    config = config_for(kamailio)
    mine, other = Questions(config), Questions(config)
    question = other.next(("192.0.2.1", 5060))
    assert not mine.answered_by(answered(question, 200, "OK"))
    assert other.answered_by(answered(question, 200, "OK"))
    assert not other.answered_by(b"\r\n\r\n")


def test_it_is_asked_until_it_answers(kamailio: socket.socket) -> None:
    def answer_the_second() -> None:
        kamailio.recvfrom(65_535)
        question, sender = kamailio.recvfrom(65_535)
        kamailio.sendto(answered(question, 200, "OK"), sender)

    answering = threading.Thread(target=answer_the_second)
    answering.start()
    assert why_silent(config_for(kamailio), 5.0) == ""
    answering.join()


def test_silence_is_told(kamailio: socket.socket) -> None:
    assert why_silent(config_for(kamailio), 0.0) == "no answer to OPTIONS"


def test_nothing_that_listens_is_told_and_waited_for(kamailio: socket.socket) -> None:
    config = config_for(kamailio)
    kamailio.close()
    assert why_silent(config, 0.0) == "no answer to OPTIONS: Connection refused"
    began_s = time.monotonic()
    assert why_silent(config, 0.5) == "no answer to OPTIONS: Connection refused"
    assert time.monotonic() - began_s >= 0.5
