"""Each request goes to the part that answers its kind."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from overlay.base.errors import StorageError
from overlay.daemon.peer_requests import PeerRequests
from overlay.links.farm_messages import AskRevocations, RevocationsAre
from overlay.links.link import Answered
from overlay.links.member_messages import Ping
from overlay.links.peer_part import calls_back, replies, waits
from overlay.links.peer_protocol import Ack, Failed, PeerReply, PeerRequest
from overlay.links.record_messages import Fetch, Offer, Wanted

PEER = b"p" * 20


def asked(requests: PeerRequests, request: PeerRequest) -> PeerReply:
    """What a peer is answered, at once or in time."""

    async def run() -> PeerReply:
        answer: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()
        requests.answer(PEER, request, answer.set_result)
        return await asyncio.wait_for(answer, 5.0)

    return asyncio.run(run())


def failing(error: Exception) -> Callable[[bytes, Any], PeerReply]:
    def answer(peer: bytes, request: Any) -> PeerReply:
        raise error

    return answer


def test_a_part_answers_by_return_by_calling_back_or_in_a_task() -> None:
    counted: list[str] = []
    requests = PeerRequests(counted.append)

    def fetch(peer: bytes, request: Fetch, answer: Answered) -> None:
        asyncio.get_running_loop().call_soon(answer, Failed(code=peer.hex(), reason="later"))

    async def offered(peer: bytes, offer: Offer) -> PeerReply:
        await asyncio.sleep(0)
        return Wanted(keys=(peer,))

    requests.gather((replies(AskRevocations, lambda peer, _: RevocationsAre(body=peer)),))
    requests.gather((calls_back(Fetch, fetch), waits(Offer, offered)))
    assert asked(requests, AskRevocations(have=0)) == RevocationsAre(body=PEER)
    assert asked(requests, Fetch(kind=0, key=b"")) == Failed(code=PEER.hex(), reason="later")
    assert asked(requests, Offer(kind=0, records=())) == Wanted(keys=(PEER,))
    assert counted == ["AskRevocations", "Fetch", "Offer"]
    assert requests.kinds == {AskRevocations, Fetch, Offer}


def test_what_goes_wrong_is_told_to_the_peer() -> None:
    requests = PeerRequests(lambda _: None)

    async def no_disk(peer: bytes, offer: Offer) -> PeerReply:
        raise StorageError("the disk is gone")

    async def mistaken(peer: bytes, fetch: Fetch) -> PeerReply:
        raise KeyError("a mistake")

    requests.gather((replies(Ping, failing(ValueError("nonsense"))),))
    requests.gather((waits(Offer, no_disk), waits(Fetch, mistaken)))
    assert asked(requests, Ping()) == Failed(code="bad-request", reason="nonsense")
    assert asked(requests, Offer(kind=0, records=())) == Failed(
        code="storage", reason="the disk is gone"
    )
    assert asked(requests, Fetch(kind=0, key=b"")) == Failed(code="internal", reason="see the log")
    unknown = asked(requests, AskRevocations(have=0))
    assert unknown == Failed(code="bad-request", reason="AskRevocations is not known here")


def test_two_parts_cannot_answer_the_same() -> None:
    requests = PeerRequests(lambda _: None)
    requests.gather((replies(Ping, lambda _peer, _request: Ack()),))
    with pytest.raises(ValueError, match="two parts answer Ping"):
        requests.gather((replies(Ping, lambda _peer, _request: Ack()),))


def test_stop_ends_what_is_under_way() -> None:
    async def story() -> None:
        requests = PeerRequests(lambda _: None)
        answers: list[PeerReply] = []
        ended = asyncio.Event()

        async def offered(peer: bytes, offer: Offer) -> PeerReply:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return Ack()

        requests.gather((waits(Offer, offered),))
        requests.answer(PEER, Offer(kind=0, records=()), answers.append)
        await asyncio.sleep(0)
        await requests.stop()
        assert ended.is_set()
        assert not answers

    asyncio.run(story())
