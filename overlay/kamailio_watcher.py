"""Asks this node's own Kamailio all the time whether it answers.

In: answers, and what the kernel says of a port where nothing listens. Out: questions; a word to
whoever wants to know when that changes. Counterparts: `kamailio_watch.py` decides;
`kamailio_options.py` has the questions; the farm's DNS, `/ready` and `sipfarm status` follow.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from overlay.config import Config
from overlay.kamailio_options import DATAGRAM_BYTES_MAX, Questions
from overlay.kamailio_watch import ASK_AGAIN_S, ASK_EVERY_S, KamailioWatch

log = logging.getLogger(__name__)

FIRST_WITHIN_S: Final = 0.1
"""How long a daemon that starts waits for the first answer."""


class KamailioWatcher:
    """One node's."""

    def __init__(self, config: Config) -> None:
        self._questions = Questions(config)
        self._watch = KamailioWatch()
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = asyncio.Event()
        self._asked_by_proxies: Callable[[], int] = lambda: 0
        self._seen = 0
        self._changed: Callable[[], None] = lambda: None

    @property
    def away(self) -> str:
        """Why Kamailio counts as away; empty while it answers."""
        return self._watch.away

    async def first(self) -> None:
        """Ask once, and wait a moment for the answer."""
        self._ask()
        try:
            async with asyncio.timeout(FIRST_WITHIN_S):
                await self._heard.wait()
        except TimeoutError:
            pass

    def start(self, asked_by_proxies: Callable[[], int], changed: Callable[[], None]) -> None:
        """Go on asking. `asked_by_proxies` counts what proxies have asked of this daemon;
        `changed` is called whenever Kamailio has gone or come back."""
        self._asked_by_proxies, self._changed = asked_by_proxies, changed
        self._timer = self._loop.call_later(ASK_AGAIN_S, self._turn)

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._close()

    def withdraw(self) -> None:
        """Kamailio is about to be stopped: it counts as away from now on."""
        self._judge(self._watch.withdraw)

    # inner workings

    def _turn(self) -> None:
        # Before the verdict: what came while this process could not look.
        self._read()
        self._ask()
        self._next_in(ASK_AGAIN_S)

    def _next_in(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(wait_s, self._turn)

    def _ask(self) -> None:
        asked = self._asked_by_proxies()
        active, self._seen = asked != self._seen, asked
        self._judge(lambda now_s: self._watch.ask(now_s, proxies_active=active))
        try:
            if self._socket is None:
                self._socket = self._questions.open()
                self._loop.add_reader(self._socket, self._read)
            self._socket.send(self._questions.next(self._socket.getsockname()))
        except BlockingIOError:
            pass
        except OSError as error:
            self._unreachable(error)

    def _read(self) -> None:
        while self._socket is not None:
            try:
                datagram = self._socket.recv(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                self._unreachable(error)
                return
            if self._questions.answered_by(datagram):
                self._judge(self._watch.answered)
                self._heard.set()
                self._next_in(ASK_EVERY_S)

    def _unreachable(self, error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        self._judge(lambda _: self._watch.unreachable(reason))
        self._heard.set()
        if not isinstance(error, ConnectionRefusedError):
            # The address may have gone, and come back as another.
            self._close()

    def _judge(self, happened: Callable[[float], None]) -> None:
        before = self._watch.away
        happened(self._loop.time())
        after = self._watch.away
        if bool(before) == bool(after):
            return
        if after:
            log.warning("Kamailio is away: %s", after)
        else:
            log.warning("Kamailio answers")
        self._changed()

    def _close(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
