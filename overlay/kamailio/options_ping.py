"""Asks a node's own Kamailio whether it answers: SIP OPTIONS by UDP (RFC 3261 11).

In: the node's configuration; datagrams. Out: the question as a datagram; whether a datagram answers
it; for a caller that can wait, the reason why Kamailio is silent, if it is. Counterparts: Kamailio;
the callers are `kamailio/watcher.py`, `sipfarm node kamailio-ready` and the lab.

Any final answer shows that a worker is at work. A worker that is behind refuses with 503, and lives
all the same.
"""

import os
import socket
import time
from typing import Final

from overlay.config.config import Config
from overlay.gateways import options
from overlay.records.settings import Gateway

ASK_AGAIN_S: Final = 0.2
DATAGRAM_BYTES_MAX: Final = 65_535


class Questions:
    """The questions of one asker to one Kamailio, and their answers."""

    def __init__(self, config: Config) -> None:
        self._host, self._port = config.node.address, config.proxy.port
        self._family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._farm = config.farm.name
        bracketed = f"[{self._host}]" if ":" in self._host else self._host
        self._kamailio = Gateway(host=bracketed, port=self._port)
        self._asker = os.urandom(8).hex()
        self._asked = 0

    def open(self) -> socket.socket:
        """A socket connected to Kamailio, so it gets no other packets, and an error if nothing
        listens.

        Raises `OSError`.
        """
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.connect((self._host, self._port))
        except OSError:
            opened.close()
            raise
        return opened

    def next(self, sent_from: tuple[str, int]) -> bytes:
        """One more question. `sent_from` is the socket's own address."""
        host, port = sent_from[:2]
        sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._asked += 1
        branch = f"{self._asker}.{self._asked}"
        return options.request(self._kamailio, self._farm, sent_by, branch)

    def answered_by(self, datagram: bytes) -> bool:
        """Whether this is a final answer to any of the questions."""
        return options.answer(datagram, self._asker) is not None


def why_silent(config: Config, within_s: float) -> str:
    """Ask until Kamailio answers; the reason if it does not answer `within_s`, else an empty text.

    At least one question is sent. If nothing listens yet, asking goes on.
    """
    questions = Questions(config)
    until_s = time.monotonic() + within_s
    while True:
        asked_s = time.monotonic()
        try:
            with questions.open() as to_kamailio:
                to_kamailio.settimeout(ASK_AGAIN_S)
                to_kamailio.send(questions.next(to_kamailio.getsockname()))
                while not questions.answered_by(to_kamailio.recv(DATAGRAM_BYTES_MAX)):
                    pass
            return ""
        except TimeoutError:
            reason = "no answer to OPTIONS"
        except OSError as error:
            reason = f"no answer to OPTIONS: {error.strerror or error}"
        now_s = time.monotonic()
        if now_s >= until_s:
            return reason
        time.sleep(max(0.0, min(until_s, asked_s + ASK_AGAIN_S) - now_s))
