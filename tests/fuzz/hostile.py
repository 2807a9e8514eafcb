"""Makes the messages of a hostile sender: almost right ones.

In: a source of choices. Out: payloads. Counterpart: `under_fire.py`, which sends them to a node.

Each message is made from a right one: fields are replaced by values of every kind and size, taken
away or added. Bodies within messages are made the same way, so that wrong values also come deep
inside.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from overlay.control import control_protocol, proxy_messages
from overlay.links import peer_codec, peer_protocol
from overlay.records import call, registration, subscriber
from overlay.records.call import CallEvent, EventKind
from overlay.records.names import RecordKind, key_of
from overlay.records.node_status import NodeStatus
from overlay.records.register import ContactChange, RegisterOutcome
from overlay.records.registration import Binding
from overlay.records.subscriber import Subscriber

AOR = "alice@farm.test"
CALL_ID = "call-1"
NODE = ["\x01" * 20, "n9", "127.0.7.9", 7460]
DEEP = 200_000

HUGE = (-(1 << 63), -1, 0, 1, 255, 1 << 31, 1 << 53, (1 << 62) + 1, (1 << 63) - 1, (1 << 64) - 1)
ODD: tuple[Any, ...] = (
    *HUGE,
    None,
    True,
    0.5,
    float("inf"),
    float("nan"),
    "",
    "\0",
    "x" * 5_000,
    "sip:\r\nVia: x",
    "a@b",
    b"",
    b"\0" * 19,
    b"\xff" * 20,
    b"x" * 70_000,
    [],
    [[]] * 50,
    {},
    {"a": 1},
    msgspec.msgpack.Ext(5, b"x"),
    msgspec.Raw(b"\xa2\xff\xfe"),
    msgspec.Raw(b"\xdb\xff\xff\xff\xff"),
    msgspec.Raw(b"\xdd\xff\xff\xff\xff"),
    msgspec.Raw(b"\x91" * DEEP + b"\xc0"),
    msgspec.Raw(b"\xc1"),
)


class Choices(Protocol):
    """Where the choices come from: hypothesis, a fuzzer's bytes, or chance."""

    def number(self, low: int, high: int) -> int:
        """An int from `low` to `high`, both included."""
        ...

    def data(self, size_max: int) -> bytes:
        """Any bytes."""
        ...


def pick(choices: Choices, options: Sequence[Any]) -> Any:
    """One of these."""
    return options[choices.number(0, len(options) - 1)]


def spoilt(choices: Choices, right: Sequence[Any], keep: int = 0) -> list[Any]:
    """The fields of a message, some of them wrong; the first `keep` stay as they are."""
    fields = list(right)
    for _ in range(choices.number(0, 3)):
        place = choices.number(keep, max(keep, len(fields) - 1))
        what = choices.number(0, 9)
        if what == 0:
            del fields[place:]
        elif what == 1:
            fields.append(pick(choices, ODD))
        elif place >= len(fields):
            continue
        elif what <= 4 and isinstance(fields[place], list):
            fields[place] = spoilt(choices, fields[place])
        elif what == 5 and isinstance(fields[place], list) and fields[place]:
            fields[place] = fields[place][:1] * choices.number(0, 2_000)
        elif what == 6:
            fields[place] = choices.data(40)
        else:
            fields[place] = pick(choices, ODD)
    return fields


def _plain(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


BINDING = Binding(
    contact="sip:alice@192.0.2.7", call_id="r", cseq=1, expires_at_ms=4_000_000_000_000, changed=5
)
EVENT = CallEvent(
    kind=EventKind.START,
    event_id=b"e" * 20,
    call_id=CALL_ID,
    from_tag="bob",
    to_tag="alice",
    # Such as a daemon takes from its proxies.
    time_us=time.time_ns() // 1000,
)
FORGED = Subscriber(aor=AOR, version=9, ha1="f" * 32, signature=b"s" * 64)
REGISTER = proxy_messages.Register(
    aor=AOR, call_id="r", cseq=2, contacts=(ContactChange(uri="sip:a@b", expires_s=60),)
)
STATUS = NodeStatus(name="n9", id="00", address="a:1", state="alive")


def bodies(choices: Choices) -> bytes:
    """A record, or another body that travels within messages."""
    rights: tuple[Any, ...] = (
        (BINDING,),
        (BINDING, BINDING),
        EVENT,
        FORGED,
        REGISTER,
        proxy_messages.Registered(id=0, outcome=RegisterOutcome.DONE),
        control_protocol.Refused(id=0, code="x", reason="y"),
    )
    what = choices.number(0, len(rights) + 2)
    if what < len(rights):
        return encode(spoilt(choices, _plain(rights[what])))
    if what == len(rights):
        return encode({**_plain(STATUS), "calls": pick(choices, ODD)})
    return choices.data(60)


def encode(value: Any) -> bytes:
    """As msgpack; what has no encoding is sent as nothing."""
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, TypeError, ValueError):
        return b"\xc0"


KEYS = {
    RecordKind.REGISTRATION: key_of(RecordKind.REGISTRATION, AOR),
    RecordKind.CALL: key_of(RecordKind.CALL, CALL_ID),
    RecordKind.SUBSCRIBER: key_of(RecordKind.SUBSCRIBER, AOR),
}
KINDS: tuple[Any, ...] = (
    peer_protocol.Hello,
    peer_protocol.Goodbye,
    *peer_codec.REQUESTS,
)
REPLIES: tuple[Any, ...] = peer_codec.REPLIES
CLAIM: list[Any] = [b"c" * 20, KEYS[RecordKind.CALL], 5, [1, 2]]
UPDATE = [NODE, 0, 5, b"o" * 20]


def _fields(choices: Choices, kind: Any) -> list[Any]:
    """The right fields of a message of this kind, but for the bodies in them."""
    record = pick(choices, list(RecordKind))
    key, body = KEYS[record], bodies(choices)
    digests = b"\0" * 512
    of_kind: dict[str, list[Any]] = {
        "Hello": [1, 1, "farm.test", NODE, 1, [], ""],
        "Goodbye": [False, "why"],
        "Failed": ["storage", "why"],
        "FindNode": [key],
        "Nodes": [[NODE, NODE]],
        "Store": [record, key, body, b"12345678"],
        "Stored": [body],
        "Fetch": [record, key, 30_000],
        "Fetched": [[body, bodies(choices)], 30_000],
        "Changed": [record, key, body],
        "RegisterAt": [body],
        "RegisteredAt": [body],
        "Offer": [record, [[key, b"12345678"]]],
        "Wanted": [[key, key]],
        "ListCallsAt": [0, b"", 1 << 62, 10],
        "CallsAt": [[[5, key, [body]]], True],
        "ListSubscribersAt": ["", 10],
        "SubscribersAt": [[body], True],
        "Described": [body],
        "StoreMany": [record, [[key, body]]],
        "AskRevocations": [0],
        "RevocationsAre": [body],
        "RevocationsChanged": [3],
        "Gossip": [[UPDATE, UPDATE]],
        "PingFor": [b"t" * 20],
        "CompareMembers": [digests, 0],
        "MembersAre": [[UPDATE], 3],
        "ClaimAt": [KEYS[RecordKind.SUBSCRIBER], CLAIM[0], KEYS[RecordKind.CALL], 1, 2],
        "ClaimedAt": [True, 1],
        "ReleaseAt": [KEYS[RecordKind.SUBSCRIBER], CLAIM[0], 1],
        "ShareClaims": [KEYS[RecordKind.SUBSCRIBER], [CLAIM, CLAIM]],
        "AskCalls": [[CLAIM[:2]]],
        "CallsHeard": [[[1, 0]]],
    }
    return of_kind.get(kind.__name__, [])


def link_message(choices: Choices, kind: Any, message_id: int) -> bytes:
    """A message of this kind as the payload of a frame."""
    tag = kind.__struct_config__.tag
    keep = 2 if choices.number(0, 9) else 0
    return encode(spoilt(choices, [tag, message_id, *_fields(choices, kind)], keep))


def control_message(choices: Choices) -> bytes:
    """A request on the control socket."""
    event, record = _plain(EVENT), _plain(FORGED)
    rights: tuple[list[Any], ...] = (
        [1, 7, 500, AOR],
        [2, 7, 500, AOR],
        [3, 7, 500, *_plain(REGISTER)[3:]],
        [4, 7, 500, event],
        [20, 7, 500],
        [21, 7, 500, AOR],
        [22, 7, 500, "", 10, AOR, 0, 0],
        [23, 7, 500, CALL_ID],
        [24, 7, 500, record],
        [25, 7, 500, "", 10],
        [28, 7, 500, AOR],
        [29, 7, 500, b"list"],
    )
    # `Leave` is left out: whoever may connect may ask for it.
    fields = spoilt(choices, pick(choices, rights), 1)
    if len(fields) > 2 and choices.number(0, 3):
        fields[1:3] = [7, 500]
    return encode(fields)


DECODERS = (registration.decode, call.decode, subscriber.decode)
"""What reads stored bodies."""
