"""A phone that sends the bytes that a test gives it, and shows the messages that it gets.

In: requests, a way to send them by. Out: `Message`s. Counterparts: the farm's nodes; `ways.py`.

It does what real phones cannot be made to do: rare header fields, wrong ones, and attacks. By
itself it only repeats a request without an answer on UDP, as RFC 3261 17.1 wants.
"""

import itertools
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from proxy import sip_uri
from tests.closing import Closing
from tests.sip import message
from tests.sip.credentials import PASSWORD, Credentials
from tests.sip.dialog import Dialog
from tests.sip.message import Address, Message
from tests.sip.timers import T1_S, longer
from tests.sip.ways import Way, uri_transport

ANSWER_WITHIN_S: Final = 20.0


class Phone(Closing):
    """One user's phone with one way. `reach` tells where a node of this name listens."""

    def __init__(
        self,
        way: Way,
        reach: Callable[[str], Address],
        user: str,
        farm: str,
        *,
        algorithm: str = "SHA-256",
        password: str = PASSWORD,
    ) -> None:
        self.user, self.farm, self.transport = user, farm, way.transport
        self._way, self._reach = way, reach
        self._credentials = Credentials(user, farm, password, algorithm)
        self.address, self.port = way.here
        self.call_id = uuid.uuid4().hex
        self.cseqs = itertools.count(1)

    @property
    def aor(self) -> str:
        """This user's address-of-record as a URI."""
        return f"sip:{self.user}@{self.farm}"

    @property
    def contact(self) -> str:
        """A Contact URI that is right."""
        connected = self._way.reliable
        transport = f";transport={uri_transport(self.transport)}" if connected else ""
        return f"sip:{self.user}@{self._sent_by}{transport}"

    @property
    def _sent_by(self) -> str:
        """What the phone takes for its address; a browser knows none (RFC 7118 5.2)."""
        if self.transport in ("ws", "wss"):
            return f"{self.user}-{self.port}.invalid"
        return f"{sip_uri.bracketed(self.address)}:{self.port}"

    def via(self) -> str:
        """The Via of a new request."""
        # Phones in browsers do not ask for rport.
        rport = self.transport not in ("ws", "wss")
        return message.via(self.transport, self._sent_by, message.new_branch(), rport=rport)

    def ask(
        self,
        node: str,
        method: str,
        uri: str,
        fields: Sequence[str] = (),
        *,
        from_uri: str = "",
        to_uri: str = "",
        to_tag: str = "",
        call_id: str = "",
        cseq: int = 0,
        prove: bool = True,
        timeout_s: float = ANSWER_WITHIN_S,
    ) -> Message:
        """The final answer to a request; a challenge is answered once. Of an INVITE, refusals are
        acknowledged, and provisional answers passed over."""
        numbers = itertools.count(cseq) if cseq else self.cseqs

        def write(*proof: str) -> str:
            return self.request_text(
                *(method, uri, [*fields, *proof]),
                from_uri=from_uri,
                to_uri=to_uri,
                to_tag=to_tag,
                call_id=call_id or self.call_id,
                cseq=next(numbers),
            )

        return self._asked(node, write, prove=prove, timeout_s=timeout_s)

    def ask_within(
        self,
        dialog: Dialog,
        node: str,
        method: str,
        *fields: str,
        timeout_s: float = ANSWER_WITHIN_S,
    ) -> Message:
        """The final answer to a request in a dialog."""

        def write(*proof: str) -> str:
            return self.text_within(dialog, method, *fields, *proof)

        return self._asked(node, write, prove=True, timeout_s=timeout_s)

    def proven(
        self,
        node: str,
        method: str,
        uri: str,
        fields: Sequence[str] = (),
        *,
        from_uri: str = "",
        call_id: str,
        cseq: int = 1,
        body: str = "",
    ) -> str:
        """The text of a request that answers the challenge of this node, which is asked for one
        first; it has the next CSeq."""
        challenge = self.ask(
            *(node, method, uri, fields),
            from_uri=from_uri,
            call_id=call_id,
            cseq=cseq,
            prove=False,
        )
        assert challenge.code in (401, 407), challenge
        return self.request_text(
            *(method, uri, [*fields, self.proof_for(challenge, method, uri)]),
            from_uri=from_uri,
            call_id=call_id,
            cseq=cseq + 1,
            body=body,
        )

    def register(
        self, node: str, parameters: str = "", fields: Sequence[str] = (), *, uri: str = ""
    ) -> Message:
        """Register this phone's Contact with these header parameters."""
        contact = f"Contact: <{uri or self.contact}>{parameters}"
        return self.ask(node, "REGISTER", f"sip:{self.farm}", [contact, *fields], to_uri=self.aor)

    def proof_for(self, challenge: Message, method: str, uri: str, count: int = 1) -> str:
        """The header field that answers a challenge, by this phone's algorithm."""
        return self._credentials.proof(challenge, method, uri, count)

    def reply(self, request: Message, code: int, reason: str, fields: Sequence[str] = ()) -> None:
        """Answer a request that came in."""
        text = message.response(request, code, reason, fields)
        self._way.send(message.encoded(text), request.source)

    def send(self, node: str, text: str) -> None:
        """Send this text as it is."""
        self.send_bytes(node, message.encoded(text))

    def send_bytes(self, node: str, data: bytes) -> None:
        """Send these bytes, whether they are a message or not."""
        self._way.send(data, self._reach(node))

    def receive_bytes(self, timeout_s: float) -> bytes:
        """What comes next, as it is: a datagram, or a piece of a stream."""
        return self._way.receive_bytes(timeout_s)

    def receive(self, timeout_s: float = ANSWER_WITHIN_S) -> Message:
        """The next message; raises `TimeoutError` if none comes."""
        return self._way.receive(timeout_s)

    def await_request(self, method: str, timeout_s: float = ANSWER_WITHIN_S) -> Message:
        """The next request of this method; all else is passed over."""
        return self._await(lambda each: each.method == method, timeout_s)

    def await_answer(self, code: int = 0, timeout_s: float = ANSWER_WITHIN_S) -> Message:
        """The next answer with this status, 0 for the next final one; all else is passed over."""
        return self._await(lambda each: each.code == code if code else each.code >= 200, timeout_s)

    def is_left_alone(self, method: str, for_s: float) -> bool:
        """Whether no request of this method comes for so long."""
        try:
            self.await_request(method, for_s)
        except TimeoutError:
            return True
        return False

    def request_text(
        self,
        method: str,
        uri: str,
        fields: Sequence[str] = (),
        *,
        from_uri: str = "",
        to_uri: str = "",
        to_tag: str = "",
        call_id: str,
        cseq: int,
        body: str = "",
    ) -> str:
        """The text of a request outside of any dialog, though it may lie about that by `to_tag`; To
        has `uri` where there is no `to_uri`."""
        return message.request(
            method,
            uri,
            via=self.via(),
            sender=f"<{from_uri or self.aor}>;tag=caller",
            receiver=f"<{to_uri or uri}>{f';tag={to_tag}' if to_tag else ''}",
            call_id=call_id,
            cseq=cseq,
            fields=[*fields, *self._contact_of(method, fields)],
            body=body,
        )

    def text_within(
        self, dialog: Dialog, method: str, *fields: str, cseq: int | None = None
    ) -> str:
        """The text of a request in a dialog, by default of the next one."""
        contact = self._contact_of(method, fields)
        return dialog.request(method, self.via(), *fields, *contact, cseq=cseq)

    def close(self) -> None:
        """Close the socket."""
        self._way.close()

    def _contact_of(self, method: str, fields: Sequence[str]) -> list[str]:
        """The Contact of an INVITE that has none."""
        given = any(line.lower().startswith("contact:") for line in fields)
        return [f"Contact: <{self.contact}>"] if method == "INVITE" and not given else []

    def _asked(
        self, node: str, write: Callable[..., str], *, prove: bool, timeout_s: float
    ) -> Message:
        """What a request that `write` makes is answered; `write` takes the proof, once."""
        text = write()
        answer = self._transact(node, text, timeout_s)
        if prove and answer.code in (401, 407):
            asked = Message(text)
            text = write(self.proof_for(answer, asked.method, asked.uri))
            answer = self._transact(node, text, timeout_s)
        return answer

    def _transact(self, node: str, text: str, timeout_s: float) -> Message:
        """The final answer; a refused INVITE is acknowledged."""
        asked = Message(text)
        now_s = time.monotonic()
        until_s, interval_s = now_s + timeout_s, T1_S
        again_s = now_s + interval_s
        heard = self._way.reliable
        self.send(node, text)
        while (now_s := time.monotonic()) < until_s:
            if not heard and now_s >= again_s:
                self.send(node, text)
                interval_s = longer(interval_s)
                again_s = now_s + interval_s
            try:
                answer = self.receive((until_s if heard else min(until_s, again_s)) - now_s)
            except TimeoutError:
                continue
            if answer.code and answer.branch == asked.branch:
                heard = True
                if answer.code >= 200:
                    if asked.method == "INVITE" and answer.code >= 300:
                        self.send(node, message.ack_of(text, answer))
                    return answer
        raise TimeoutError(f"no answer to {asked.first_line}")

    def _await(self, wanted: Callable[[Message], bool], timeout_s: float) -> Message:
        until_s = time.monotonic() + timeout_s
        while not wanted(came := self.receive(until_s - time.monotonic())):
            pass
        return came
