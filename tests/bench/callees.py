"""Answers all calls of `call_load.py`, in the same process.

In: INVITE, ACK and BYE from a `Wire`. Out: answers on it, with the timers of RFC 3261 13.3.1.4.
"""

from tests.sip.message import Message, response
from tests.sip.wire import Repeat, Wire


class Callees:
    """Everybody who is called, and answers at once."""

    def __init__(self, address: str, port: int, wire: Wire) -> None:
        self._wire = wire
        self._send = wire.open(address, port, self._received)
        self._contact = [f"Contact: <sip:{address}:{port}>"]
        self._answers: dict[str, Repeat] = {}
        """By Call-ID: the 200 of each call."""

    def _received(self, message: Message) -> None:
        method, call_id = message.method, message.get("Call-ID")
        if method == "INVITE":
            self._invited(call_id, message)
        elif method in ("ACK", "BYE"):
            if call_id in self._answers:
                self._answers[call_id].answered()
            if method == "BYE":
                self._send(response(message, 200, "OK"), message.source)

    def _invited(self, call_id: str, invite: Message) -> None:
        said = self._answers.get(call_id)
        if said is None:
            text = response(invite, 200, "OK", self._contact)
            said = Repeat(self._wire, text, invite.source, self._send)
            self._answers[call_id] = said
        if said.text:
            self._send(said.text, invite.source)
