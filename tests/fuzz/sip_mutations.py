"""Makes hostile messages for a SIP port, from right ones and a seed.

In: a random source, addresses that make a message look as if it belonged, and messages that do
belong to a call. Out: bytes, and ways to cut them for a connection or frame them for a WebSocket.
Counterpart: `sip.py`.
"""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Final

from tests.farm import torture_invalid, torture_valid
from tests.farm.torture import message

NOISE_BYTES_MAX: Final = 65_000
_METHODS: Final = (
    *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY"),
    *("UPDATE", "INFO", "PRACK", "REFER", "PUBLISH", "SIP/2.0"),
)
_FIELDS: Final = (
    "Route: <sip:FARM;lr;s=000000000000000000000000;u=n1~udp~HERE>",
    "Route: <sip:n1.FARM;lr;f=n1~tcp~192.0.2.1~5060;s=0>, <sip:[::1];lr>",
    "Record-Route: <sip:FARM;lr;s=0;r2=on>, <sip:FARM;transport=tcp;lr;r2=on>",
    'Contact: "x" <sip:bob@HERE;transport=tcp>;expires=60;+sip.instance="<urn:uuid:1>";reg-id=1',
    "Contact: *",
    "Expires: 0",
    "Path: <sip:edge.example.org;lr;ob>",
    "Supported: path, outbound, timer",
    "Session-Expires: 90;refresher=uac",
    "Min-SE: 90",
    "P-Asserted-Identity: <sip:alice@FARM>, <tel:+4930>",
    "P-Preferred-Identity: <sip:alice@FARM>",
    "Privacy: id;critical",
    "Max-Breadth: 1",
    "Require: path",
    "Reason: Q.850;cause=16",
    'Proxy-Authorization: Digest username="bob", realm="FARM", nonce="x", uri="sip:FARM", '
    'response="0", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="y"',
    "User-Agent: fuzz",
)
_TOKENS: Final = (
    *(b"\0", b"\xff\xfe", b"\xc3\x28", b"\r\n\r\n", b"\n", b"\r\n ", b"\t", b'"', b"<", b">", b";"),
    *(b",", b"@", b"%00", b"%", b"[", b"]", b"[::", b":", b"?", b"&", b"=", b"\\", b"sip:", b"()"),
    *(b"-1", b"0", b"4294967296", b"99999999999999999999", b";lr", b";transport=", b";maddr="),
)
_LIES: Final = (b"-1", b"0", b"7", b"65535", b"4294967297", b"99999999999999999999", b"x", b"")


def payload(chance: random.Random, fills: dict[str, str], real: Sequence[bytes]) -> bytes:
    """A message that is wrong in up to four ways, or noise; a third of them begin as a real one."""
    if chance.random() < 0.02:
        return chance.randbytes(chance.randint(0, NOISE_BYTES_MAX))
    data = _real(chance, real) if chance.random() < 0.33 else _right(chance, fills)
    for _ in range(chance.randint(0, 4)):
        data = chance.choice(_MUTATIONS)(chance, data)
    return data[:NOISE_BYTES_MAX]


def pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """The same in up to six writes."""
    cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, 5)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def frame(chance: random.Random, data: bytes) -> bytes:
    """A WebSocket frame (RFC 6455 5.2) that is right half of the time."""
    right = chance.random() < 0.5
    first = 0x81 if right else chance.randrange(256)
    length = len(data) if right else chance.choice((len(data), 0, 125, 126, 1 << 16, 1 << 40))
    masked = 0x80 if right or chance.random() < 0.7 else 0
    if length < 126:
        head = struct.pack("!BB", first, masked | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, length)
    else:
        head = struct.pack("!BBQ", first, masked | 127, length)
    return head + (b"\0\0\0\0" if masked else b"") + data


def _real(chance: random.Random, real: Sequence[bytes]) -> bytes:
    first, end, rest = chance.choice(real).partition(b"\r\n")
    more = [field.encode() for field in chance.sample(_FIELDS, chance.randint(0, 3))]
    return b"\r\n".join([first, *more]) + end + rest


def _right(chance: random.Random, fills: dict[str, str]) -> bytes:
    if chance.random() < 0.3:
        text = chance.choice((*torture_valid.CASES, *torture_invalid.CASES)).text
    else:
        method = chance.choice(_METHODS)
        uri = chance.choice(("sip:bob@FARM", "sip:FARM", "sip:x@HERE", "sips:bob@FARM", "tel:+49"))
        to = chance.choice(("<sip:bob@FARM>", "<sip:bob@FARM>;tag=x", "sip:bob@FARM"))
        first = f"{method} {uri} SIP/2.0"
        if method == "SIP/2.0":
            first = f"SIP/2.0 {chance.choice((100, 180, 200, 404, 487, 603))} Said"
        text = message(
            first,
            f"CSeq: 1 {chance.choice(_METHODS[:8]) if method == 'SIP/2.0' else method}",
            f"From: <sip:{chance.choice(('bob@FARM', 'x@example.org'))}>;tag=FROM",
            f"To: {to}",
            *chance.sample(_FIELDS, chance.randint(0, 5)),
            standard=True,
        )
    for word, value in {**fills, "SEQ": "1"}.items():
        text = text.replace(word, value)
    return text.encode("latin-1")


def _flip(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8) if data else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randint(0, len(data))]


def _put_in(chance: random.Random, data: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(_TOKENS) * chance.choice((1, 1, 1, 2, 60)) + data[at:]


def _nest(chance: random.Random, data: bytes) -> bytes:
    at, depth = chance.randint(0, len(data)), chance.choice((2, 50, 5_000))
    return data[:at] + b"<" * depth + b'"' * chance.randint(0, 3) + b">" * depth + data[at:]


def _of_lines(change: Callable[[random.Random, list[bytes]], None]) -> "_Mutation":
    def mutate(chance: random.Random, data: bytes) -> bytes:
        head, end, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        change(chance, lines)
        return b"\r\n".join(lines) + end + body

    return mutate


def _repeat(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    lines[at:at] = [lines[at]] * chance.choice((1, 2, 70, 300))


def _lengthen(chance: random.Random, lines: list[bytes]) -> None:
    filler = chance.choice((b"a", b";x=y", b",<sip:a@b>", b" ", b"%41"))
    lines[chance.randrange(len(lines))] += filler * chance.choice((10, 300, 5_000))


def _fold(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    cut = chance.randint(0, len(lines[at]))
    lines[at] = lines[at][:cut] + b"\r\n" + b" " * chance.randint(0, 2) + lines[at][cut:]


def _leave_out(chance: random.Random, lines: list[bytes]) -> None:
    del lines[chance.randrange(len(lines))]
    lines[:] = lines or [b""]


def _shuffle(chance: random.Random, lines: list[bytes]) -> None:
    rest = lines[1:]
    chance.shuffle(rest)
    lines[1:] = rest


def _lie(chance: random.Random, lines: list[bytes]) -> None:
    lines[:] = [line for line in lines if not line.lower().startswith(b"content-length")]
    lines.append(b"Content-Length: " + chance.choice(_LIES))


_Mutation = Callable[[random.Random, bytes], bytes]
_MUTATIONS: Final[tuple[_Mutation, ...]] = (
    *(_flip, _cut, _put_in, _put_in, _nest),
    *map(_of_lines, (_repeat, _lengthen, _fold, _leave_out, _shuffle, _lie)),
)
