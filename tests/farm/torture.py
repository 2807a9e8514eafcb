"""Sends single messages to a node, byte by byte, and checks what becomes of each.

In: `Case`s, a sender that does not belong to the farm, bob's phone. Out: nothing, or an
`AssertionError` that says what happened instead. Counterparts: `torture_valid.py` and
`torture_invalid.py`, which have the messages; `test_torture.py`, which plays them.
"""

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.lab import Lab
from tests.farm.raw_phone import RawPhone
from tests.sip.message import COMPACT, Message, answered

_WITHIN_S = 15.0
_QUIET_S = 0.3
"""Of two workers one may be so much behind the other."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Passes:
    """Bob sees it, with its body, and his answer comes back."""

    method: str = "INVITE"


@dataclass(frozen=True, init=False)
class Refused:
    """One of these answers; or what else RFC 4475 lets an element do."""

    codes: tuple[int, ...]
    told: str
    or_passes: bool
    or_dropped: bool
    and_nothing_passes: bool

    def __init__(
        self,
        *codes: int,
        told: str = "",
        or_passes: bool = False,
        or_dropped: bool = False,
        and_nothing_passes: bool = False,
    ) -> None:
        vars(self).update(
            codes=codes,
            told=told,
            or_passes=or_passes,
            or_dropped=or_dropped,
            and_nothing_passes=and_nothing_passes,
        )


@dataclass(frozen=True)
class Challenged:
    """401; and then, with the proof, this answer, which tells this. 0: no proof is given."""

    then: int
    told: str = ""


@dataclass(frozen=True)
class Silence:
    """No answer, and bob sees nothing; a connection may end."""

    kamailio: str = ""
    """Why, where the RFC would have it otherwise: what Kamailio does before any route is asked."""


@dataclass(frozen=True)
class Closed:
    """The connection ends."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One message, and what is to become of it."""

    name: str
    source: str
    """RFC and section."""
    text: str
    expect: Passes | Refused | Challenged | Silence | Closed
    over: tuple[str, ...] = ("udp", "tcp")


def message(
    first_line: str,
    *lines: str,
    body: str = "",
    standard: bool = False,
    without: tuple[str, ...] = (),
) -> str:
    """A message; `standard` adds the header fields that it lacks, but for those `without`."""
    method = first_line.split()[0]
    there = {_name(line) for line in lines} | set(without)
    added = {
        "via": "Via: SIP/2.0/UDP HERE;branch=BRANCH;rport",
        "from": "From: <sip:stranger@example.org>;tag=FROM",
        "to": "To: <sip:bob@FARM>",
        "call-id": "Call-ID: CALL",
        "cseq": f"CSeq: SEQ {method}",
        "max-forwards": "Max-Forwards: 70",
        "content-length": "Content-Length: LENGTH",
    }
    if method == "INVITE":
        added["contact"] = "Contact: <sip:stranger@HERE>"
    rest = [line for name, line in added.items() if standard and name not in there]
    text = "\r\n".join([first_line, *lines, *rest]) + "\r\n\r\n" + body
    return text.replace("LENGTH", str(len(body)))


class Stage:
    """A node, bob's phone, and for each message a sender of its own."""

    def __init__(self, lab: Lab, node: str, host: str, bob: RawPhone) -> None:
        self._lab, self._node, self._host, self._bob = lab, node, host, bob

    def play(self, case: Case, over: str) -> None:
        """Send the message and see what becomes of it."""
        to = {"tcp_to": self._node} if over == "tcp" else {}
        with RawPhone(self._lab, self._host, "torture", **to) as sender:
            scene = _Scene(self._node, case, sender, self._bob)
            match case.expect:
                case Passes(method):
                    scene.passes(method)
                case Refused() as refused:
                    scene.refused(refused)
                case Challenged(then, told):
                    scene.challenged(then, told)
                case Silence():
                    scene.silence()
                case Closed():
                    scene.closed()


class _Scene:
    def __init__(self, node: str, case: Case, sender: RawPhone, bob: RawPhone) -> None:
        self._node, self._case, self._sender, self._bob = node, case, sender, bob
        self._call = f"torture-{next(_numbers)}-{sender.call_id[:8]}"
        self._fills: dict[str, str] = {
            "BRANCH": f"z9hG4bK{self._call}",
            "CALL": self._call,
            "FARM": sender.farm,
            "HERE": f"{sender.address}:{sender.port}",
            "FROM": "stranger",
        }
        self._answers: list[Message] = []
        self._seen: list[bytes] = []
        self._ended = False

    def passes(self, method: str) -> None:
        self._say()
        self._await(lambda: bool(self._seen or self._answers), "bob sees it")
        assert self._seen, f"bob sees nothing; answered {self._told()}"
        head, _, body = self._seen[0].partition(b"\r\n\r\n")
        assert head.startswith(f"{method} ".encode()), head
        sent = self._bytes().partition(b"\r\n\r\n")[2]
        assert body == sent, f"another body: {body!r}"
        self._bob.send_bytes(self._node, busy(self._seen[0]))
        self._await(lambda: self._told() == [486], "bob's answer comes back")

    def refused(self, expected: Refused) -> None:
        self._say()
        or_else = expected.or_passes or expected.or_dropped
        self._await(
            lambda: bool(self._answers or self._seen or self._ended),
            f"answered {expected.codes}",
            give_up=expected.or_dropped,
        )
        if self._answers:
            assert self._told()[0] in expected.codes, self._answers[0].first_line
            assert self._holds(expected.told), self._answers[0]
        else:
            assert or_else, "no answer"
            assert expected.or_dropped or self._seen
        if self._seen:
            assert expected.or_passes, "bob sees it"
            self._bob.send_bytes(self._node, busy(self._seen[0]))
        if expected.and_nothing_passes:
            self._rest()
            assert not self._seen, "bob sees something"

    def challenged(self, then: int, told: str) -> None:
        self._say()
        self._await(lambda: bool(self._answers), "a challenge")
        assert self._told() == [401], self._answers
        if then:
            uri = f"sip:{self._sender.farm}"
            proof = self._sender.proof_for(self._answers.pop(), "REGISTER", uri)
            self._say(cseq=2, proof=proof)
            self._await(lambda: bool(self._answers), f"answered {then}")
            assert self._told() == [then], self._answers
            assert self._holds(told), self._answers

    def silence(self) -> None:
        self._say()
        self._rest()
        assert not self._answers, self._answers
        assert not self._seen, self._seen

    def closed(self) -> None:
        self._say()
        self._await(lambda: self._ended, "the connection ends")

    def _bytes(self, cseq: int = 1, proof: str = "") -> bytes:
        text = self._case.text
        if proof:
            text = text.replace("\r\n", f"\r\n{proof}\r\n", 1)
        for word, value in {**self._fills, "SEQ": str(cseq)}.items():
            text = re.sub(rf"\b{word}|(?<=[a-z]){word}", value, text)
        if self._sender.transport == "tcp":
            text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP", 1)
        return text.encode("latin-1")

    def _say(self, cseq: int = 1, proof: str = "") -> None:
        self._sender.send_bytes(self._node, self._bytes(cseq, proof))

    def _await(self, done: Callable[[], bool], what: str, *, give_up: bool = False) -> None:
        until_s = time.monotonic() + (_QUIET_S if give_up else _WITHIN_S)
        while not done():
            assert give_up or time.monotonic() < until_s, f"not so: {what}; {self._told()}"
            if time.monotonic() > until_s:
                return
            self._listen()

    def _rest(self) -> None:
        until_s = time.monotonic() + _QUIET_S
        while time.monotonic() < until_s:
            self._listen()

    def _listen(self) -> None:
        try:
            answer = self._sender.receive(0.02)
            if answer.code >= 200:
                self._answers.append(answer)
        except TimeoutError:
            pass
        except ConnectionError:
            self._ended = True
        try:
            raw = self._bob.receive_bytes(0.02)
            if self._call.encode() in raw and not raw.startswith(b"SIP/"):
                self._seen.append(raw)
        except TimeoutError:
            pass

    def _told(self) -> list[int]:
        return [answer.code for answer in self._answers]

    def _holds(self, told: str) -> bool:
        for word, value in self._fills.items():
            told = told.replace(word, value)
        lines = [f"{name}: {value}" for each in self._answers for name, value in each.fields]
        return any(told in line for line in lines)


def busy(request: bytes) -> bytes:
    """486 to a request, however it is written."""
    return answered(request, 486, "Busy Here", tag="bob")


def _name(line: str) -> str:
    name = line.partition(":")[0].strip().lower()
    return COMPACT.get(name, name)
