"""The attacks: each plays one case against a node, and checks that the node withstands it.

In: a node under fire, choices made by a seed. Counterparts: `test_under_fire.py`, which plays some
cases of each attack; `main.py`, which plays as many as asked for.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec

from overlay.base.errors import ProtocolError
from overlay.base.frames import FrameBuffer, pack
from overlay.control import control_codec, operator_messages, proxy_messages
from overlay.links import peer_codec
from overlay.records.register import ContactChange
from tests.fuzz import hostile
from tests.fuzz.hostile import Choices, pick
from tests.fuzz.under_fire import UnderFire

Attack = Callable[[UnderFire, Choices], Coroutine[Any, Any, None]]
QUESTIONS = (
    "initialize",
    "lookup",
    "getDomainInfo",
    "getAllDomains",
    "getAllDomainMetadata",
    "getDomainMetadata",
    "list",
    "\0",
)


class Chance:
    """The choices of one case."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`, the small ones more often."""
        if self._chance.random() < 0.3:
            return low
        return self._chance.randint(low, high)

    def data(self, size_max: int) -> bytes:
        """Any bytes."""
        return self._chance.randbytes(self._chance.randint(0, size_max))


def play(fire: UnderFire, attack: Attack, seeds: Iterable[int]) -> int:
    """Play a case for each seed, and look whether the node serves afterwards; how many it were.

    Raises `AssertionError` that names the case which the node did not bear.
    """
    count = 0
    for seed in seeds:
        try:
            fire.run(attack(fire, Chance(seed)))
        except Exception as error:
            name = attack.__name__
            raise AssertionError(
                f"tests/fuzz/run {name} --seed {seed} --cases 1: {error}"
            ) from error
        count += 1
    fire.run(fire.still_serves())
    return count


async def frames(fire: UnderFire, choices: Choices) -> None:
    """Any bytes in any pieces come out as the frames that they are, or are refused."""
    buffer, whole = FrameBuffer(100), b""
    out: list[bytes] = []
    with contextlib.suppress(ProtocolError):
        for _ in range(choices.number(1, 8)):
            piece = choices.data(60)
            whole += piece
            out += buffer.feed(piece)
    assert whole.startswith(b"".join(map(pack, out)))


async def requests(fire: UnderFire, choices: Choices) -> None:
    """A peer asks nonsense."""
    peer = await fire.peer()
    for number in range(choices.number(1, 4)):
        kind = pick(choices, hostile.KINDS)
        peer.say(hostile.link_message(choices, kind, number + 1))
    await peer.through()
    await fire.survives()


async def answers(fire: UnderFire, choices: Choices) -> None:
    """Clients ask a node something, and one of the peers whom it asks answers nonsense."""
    peer = await fire.peer()

    def answered(request: Any) -> bytes:
        kind = pick(choices, hostile.REPLIES)
        return hostile.link_message(choices, kind, request.id)

    def fitting(request: Any) -> bytes:
        return hostile.link_message(choices, request.answered_by, request.id)

    peer.answer_with(pick(choices, (answered, fitting, fitting, fitting)))
    try:
        asked = [pick(choices, CLIENTS) for _ in range(choices.number(1, 3))]
        await fire.send_control(*(control_codec.encode(each) for each in asked))
        await peer.through()
    finally:
        peer.answer_with(lambda request: None)
    await fire.survives()


async def control_requests(fire: UnderFire, choices: Choices) -> None:
    """A client asks nonsense: it is answered or cut off, and always soon."""
    await fire.send_control(*(hostile.control_message(choices) for _ in range(3)))
    await fire.survives()


async def handshakes(fire: UnderFire, choices: Choices) -> None:
    """A peer lies in its Hello, says it twice, something else, or nothing that makes sense."""
    peer = await fire.connect()
    hello = msgspec.msgpack.decode(peer_codec.encode(fire.hello()))
    first = hostile.spoilt(choices, hello, 1 if choices.number(0, 5) else 0)
    peer.say(hostile.encode(first))
    if choices.number(0, 1):
        peer.say(hostile.encode(hello))
    await asyncio.sleep(0)
    if choices.number(0, 1):
        peer.say(choices.data(50))
    peer.say(b"\xc1")
    await asyncio.wait_for(peer.closed.wait(), 10)
    await peer.close()
    await fire.survives()


async def names(fire: UnderFire, choices: Choices) -> None:
    """PowerDNS's socket is asked nonsense."""
    reader, writer = await fire.client("dns")
    for _ in range(choices.number(1, 3)):
        value: Any = {
            "method": pick(choices, QUESTIONS),
            "parameters": {
                "qname": pick(choices, ("farm.test.", "_sip._udp.farm.test", "\0", "x" * 999, 5)),
                "qtype": pick(choices, ("ANY", "SOA", "SRV", "", None, [])),
                "name": pick(choices, ("farm.test.", "", {}, "ü")),
            },
        }
        line = json.dumps(value).encode()
        what = choices.number(0, 4)
        if what == 0:
            line = choices.data(100)
        elif what == 1:
            line = b'{"method": "lookup", "other": ' + b"[" * choices.number(1, 60_000)
        writer.write(line + b"\n")
    writer.write(b"{}\n")
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while await reader.read(1 << 16):
                pass
    writer.transport.abort()
    await fire.survives()


async def stored_bodies(fire: UnderFire, choices: Choices) -> None:
    """What is read back from a disk that lies: nothing but `MsgspecError` comes of it."""
    body = hostile.bodies(choices)
    for decode in hostile.DECODERS:
        with contextlib.suppress(msgspec.MsgspecError):
            decode(body)


_HEAD = {"id": 3, "deadline_ms": 300}
CLIENTS = (
    proxy_messages.Locate(aor=hostile.AOR, **_HEAD),
    proxy_messages.Authenticate(aor=hostile.AOR, **_HEAD),
    proxy_messages.Register(
        aor=hostile.AOR,
        call_id="r",
        cseq=2,
        contacts=(ContactChange(uri="sip:a@b", expires_s=60),),
        **_HEAD,
    ),
    proxy_messages.Register(aor=hostile.AOR, call_id="r", cseq=3, **_HEAD),
    proxy_messages.Register(aor=hostile.AOR, call_id="r", cseq=3, remove_all=True, **_HEAD),
    proxy_messages.WriteEvent(event=hostile.EVENT, **_HEAD),
    operator_messages.GetStatus(**_HEAD),
    operator_messages.GetLocation(aor=hostile.AOR, **_HEAD),
    operator_messages.ListCalls(**_HEAD),
    operator_messages.ShowCall(call_id=hostile.CALL_ID, **_HEAD),
    operator_messages.GetSubscriber(aor=hostile.AOR, **_HEAD),
    operator_messages.ListSubscribers(**_HEAD),
)
"""What clients ask."""

ALL: tuple[Attack, ...] = (
    frames,
    stored_bodies,
    names,
    handshakes,
    control_requests,
    requests,
    answers,
)
