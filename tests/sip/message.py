"""Reads and writes SIP messages as text.

In: bytes from the network. Out: `Message`s; the text of requests and answers (RFC 3261 7 and 8).
Counterparts: all other modules of this folder.

The phones of the benchmarks read thousands of messages a second. So a message is taken apart only
when a part is asked for.
"""

import functools
import itertools
import re
import secrets
from collections.abc import Iterable
from typing import Final

Address = tuple[str, int]

COMPACT: Final = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
}
"""The short names of header fields (RFC 3261 7.3.3)."""
TAG: Final = "callee"
"""What an answer adds to a To that has no tag: always the same, as a request may come twice."""
_NOWHERE: Final[Address] = ("", 0)
_COOKIE: Final = "z9hG4bK"
_RUN: Final = secrets.token_hex(4)
_numbers = itertools.count(1)


class Message:
    """A SIP message; `source` is where it came from."""

    __slots__ = ("_head", "body", "source")

    def __init__(self, text: str, source: Address = _NOWHERE) -> None:
        head, _, self.body = text.partition("\r\n\r\n")
        self._head = f"{head}\r\n"
        self.source = source

    def __repr__(self) -> str:
        return f"Message({self._head!r})"

    @property
    def first_line(self) -> str:
        """The request or status line."""
        return self._head[: self._head.index("\r\n")]

    @property
    def code(self) -> int:
        """The status; 0 of a request."""
        return int(self._head[8:11]) if self._head.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method; empty of an answer."""
        return "" if self.code else self._head.partition(" ")[0]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self._head.split(" ", 2)[1]

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: the name of the transaction."""
        return self.get("Via").partition("branch=")[2].partition(";")[0]

    @property
    def cseq(self) -> int:
        """The number in CSeq."""
        return int(self.get("CSeq").partition(" ")[0])

    @property
    def fields(self) -> list[tuple[str, str]]:
        """All header fields, names as they are spelled."""
        lines = _unfolded(self._head).split("\r\n")[1:-1]
        parts = (line.partition(":") for line in lines)
        return [(name.strip(), value.strip()) for name, _, value in parts]

    def get(self, name: str) -> str:
        """The value of the first header field of this name; empty if there is none."""
        # Nearly all are spelled as one asks for them, and on one line.
        mark = f"\r\n{name}: "
        begin = self._head.find(mark)
        if begin >= 0:
            begin += len(mark)
            end = self._head.index("\r\n", begin)
            if self._head[end + 2 : end + 3] not in (" ", "\t"):
                return self._head[begin:end].strip()
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """The values of all header fields of this name, also of its short one, however spelled."""
        return [_unfolded(each).strip() for each in _values_of(name.lower()).findall(self._head)]

    def listed(self, name: str) -> list[str]:
        """The same, where each may be a list of URIs with commas between (RFC 3261 7.3.1)."""
        return [each.strip() for value in self.all(name) for each in value.split(",")]

    def echoed(self) -> list[str]:
        """The lines that an answer to this request has of it (RFC 3261 8.2.6.2)."""
        return [_unfolded(line) for line in _ECHOED.findall(self._head)]


def parsed(data: bytes, source: Address = _NOWHERE) -> Message:
    """A message that came in. Bytes that are no text come out again as they were: `encoded`."""
    return Message(data.decode("utf-8", "surrogateescape"), source)


def encoded(text: str) -> bytes:
    """The bytes of a message's text."""
    return text.encode("utf-8", "surrogateescape")


def via(transport: str, sent_by: str, branch: str, *, rport: bool = True) -> str:
    """The value of a Via; `rport` asks for the answer where the request came from (RFC 3581)."""
    return f"SIP/2.0/{transport.upper()} {sent_by};branch={branch}{';rport' if rport else ''}"


def new_branch() -> str:
    """A branch that no other transaction has."""
    return f"{_COOKIE}{_RUN}-{next(_numbers)}"


def uri_of(value: str) -> str:
    """The URI in angle brackets."""
    return value.partition("<")[2].partition(">")[0]


def request(
    method: str,
    uri: str,
    *,
    via: str,
    sender: str,
    receiver: str,
    call_id: str,
    cseq: int,
    fields: Iterable[str] = (),
    body: str = "",
) -> str:
    """A request. `sender` and `receiver` are the values of From and To; `fields` are whole lines,
    and may have a Max-Forwards of their own."""
    more = "".join([f"{line}\r\n" for line in fields])
    hops = "" if "max-forwards:" in more.lower() else "Max-Forwards: 70\r\n"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: {via}\r\n{hops}From: {sender}\r\nTo: {receiver}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{more}"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
    )


def response(
    request: Message, code: int, reason: str, fields: Iterable[str] = (), *, tag: str = TAG
) -> str:
    """An answer to a request (RFC 3261 8.2.6.2)."""
    lines = [f"SIP/2.0 {code} {reason}"]
    for line in request.echoed():
        # No other field of these begins so.
        untagged = line[0] in "Tt" and "tag=" not in line
        lines.append(f"{line};tag={tag}" if untagged else line)
    return "\r\n".join([*lines, *fields, "Content-Length: 0", "", ""])


def answered(request: bytes, code: int, reason: str, *, tag: str = TAG) -> bytes:
    """The same, from bytes to bytes."""
    return encoded(response(parsed(request), code, reason, tag=tag))


def ack_of(invite: str, answer: Message) -> str:
    """The ACK of an INVITE that was refused (RFC 3261 17.1.1.3)."""
    return _of_the_same_transaction("ACK", Message(invite), answer.get("To"))


def cancel_of(invite: str) -> str:
    """The CANCEL of an INVITE (RFC 3261 9.1)."""
    message = Message(invite)
    return _of_the_same_transaction("CANCEL", message, message.get("To"))


def _of_the_same_transaction(method: str, invite: Message, receiver: str) -> str:
    return request(
        method,
        invite.uri,
        via=invite.get("Via"),
        sender=invite.get("From"),
        receiver=receiver,
        call_id=invite.get("Call-ID"),
        cseq=invite.cseq,
        fields=[f"Route: {each}" for each in invite.all("Route")],
    )


def _unfolded(text: str) -> str:
    """A header whose folded lines are whole (RFC 3261 7.3.1)."""
    return _FOLD.sub(" ", text) if "\r\n " in text or "\r\n\t" in text else text


_FOLD: Final = re.compile(r"\r\n[ \t]+")
_VALUE: Final = r"[^\r\n]*(?:\r\n[ \t][^\r\n]*)*"
_ECHOED: Final = re.compile(
    rf"\r\n((?:Via|Record-Route|From|To|Call-ID|CSeq|v|f|t|i)[ \t]*:{_VALUE})", re.IGNORECASE
)


@functools.cache
def _values_of(name: str) -> "re.Pattern[str]":
    names = "|".join([name, *(short for short, long in COMPACT.items() if long == name)])
    return re.compile(rf"\r\n(?:{names})[ \t]*:({_VALUE})", re.IGNORECASE)
