"""Everybody who is called by `call_load.py`, in the same process.

In: INVITE, ACK and BYE from a `Wire`. Out: answers on it, with the timers of RFC 3261 13.3.1.4.
"""

import time

from bench.sip_wire import GIVE_UP_S, T1_S, T2_S, Address, Wire, answer, field


class Callees:
    """Everybody who is called, and answers at once."""

    def __init__(self, address: str, port: int, wire: Wire) -> None:
        self._wire = wire
        self._send = wire.open(address, port, self._received)
        self._contact = b"Contact: <sip:%b:%d>\r\n" % (address.encode(), port)
        self._answers: dict[bytes, bytes] = {}
        """By Call-ID: the 200, empty once it is acknowledged."""

    def _received(self, message: bytes, source: Address) -> None:
        call_id = field(message, b"Call-ID")
        if message.startswith(b"INVITE "):
            said = self._answers.get(call_id)
            if said is None:
                said = self._answers[call_id] = answer(message, b"200 OK", b"a", self._contact)
                self._repeat(call_id, source)
            if said:
                self._send(said, source)
        elif message.startswith(b"ACK "):
            self._answers[call_id] = b""
        elif message.startswith(b"BYE "):
            self._answers[call_id] = b""
            self._send(answer(message, b"200 OK", b"a"), source)

    def _repeat(self, call_id: bytes, source: Address) -> None:
        interval_s, began_s = T1_S, time.monotonic()

        def again() -> None:
            nonlocal interval_s
            said = self._answers.get(call_id)
            if said and time.monotonic() < began_s + GIVE_UP_S:
                self._send(said, source)
                interval_s = min(2 * interval_s, T2_S)
                self._wire.at(time.monotonic() + interval_s, again)

        self._wire.at(began_s + interval_s, again)
