"""A peer cannot fill a replica under one key."""

import asyncio
from pathlib import Path

import pytest

from overlay.base import limits
from overlay.links.peer_protocol import Failed
from overlay.links.record_messages import Store, Stored
from overlay.records import call
from overlay.records.names import RecordKind, key_of
from overlay.replication import replica
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event

MOST = 20


def test_more_than_a_call_can_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.EVENTS_PER_CALL_MAX > 1_000
    monkeypatch.setattr(replica, "EVENTS_PER_CALL_MAX", MOST)

    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2")
        await farm.joined()
        body = call.encode(start_event("call-1").event)
        key = key_of(RecordKind.CALL, "call-1")
        store = Store(kind=RecordKind.CALL, key=key, body=body)
        ask = farm.nodes["n2"].network.ask
        n1 = farm.nodes["n1"].own.node_id
        answers = await asyncio.gather(*(ask(n1, store, 5.0) for _ in range(MOST + 5)))
        assert [type(answer) for answer in answers] == [Stored] * MOST + [Failed] * 5
        refused = answers[-1]
        assert isinstance(refused, Failed)
        assert refused.code == "bad-request"
        other = call.encode(start_event("call-2").event)
        key = key_of(RecordKind.CALL, "call-2")
        answer = await ask(n1, Store(kind=RecordKind.CALL, key=key, body=other), 5.0)
        assert isinstance(answer, Stored)

    play(tmp_path, story)
