"""Asks this node's own Kamailio again and again whether it answers.

In: answers; the kernel's errors, if nothing listens; and, if answers are missing, the number of
messages that the workers have taken in. Out: questions, and a call whenever Kamailio has gone or
come back. Counterparts: `kamailio/watch.py` decides; `kamailio/options_ping.py` makes the
questions; the farm's DNS, `/ready` and `sipfarm status` depend on the outcome.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from overlay.base import tasks
from overlay.config.config import Config
from overlay.kamailio import rpc
from overlay.kamailio.options_ping import DATAGRAM_BYTES_MAX, Questions
from overlay.kamailio.rpc import KamailioError
from overlay.kamailio.watch import ASK_AGAIN_S, ASK_EVERY_S, KamailioWatch
from overlay.observe.part import Part

log = logging.getLogger(__name__)

FIRST_WITHIN_S: Final = 0.1
"""How long a daemon that starts waits for the first answer."""
_RECEIVED: Final = ("rcv_requests", "rcv_replies")
"""Statistics: the messages that the workers have taken in since Kamailio's start."""


class KamailioWatcher(Part):
    """Watches the Kamailio of one node."""

    def __init__(self, config: Config) -> None:
        self._questions = Questions(config)
        self._watch = KamailioWatch()
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = asyncio.Event()
        self._path = config.kamailio_socket
        self._look: asyncio.Task[None] | None = None
        self._received: int | None = None
        self._working = False
        self._changed: Callable[[], None] = lambda: None

    @property
    def away(self) -> str:
        """Why Kamailio counts as away; empty while it answers."""
        return self._watch.away

    async def start(self) -> None:
        """Ask once, and wait a moment for the answer."""
        self._ask()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WITHIN_S):
                await self._heard.wait()

    def go_on(self, changed: Callable[[], None]) -> None:
        """Go on asking; `changed` is called whenever Kamailio has gone or come back."""
        self._changed = changed
        self._timer = self._loop.call_later(ASK_AGAIN_S, self._turn)

    async def stop(self) -> None:
        """Stop asking."""
        if self._timer is not None:
            self._timer.cancel()
        self._close()
        await tasks.end([self._look])

    def withdraw(self) -> None:
        """Count Kamailio as away from now on, as it is about to be stopped."""
        self._judge(self._watch.withdraw)

    # inner workings

    def _turn(self) -> None:
        # Read before the verdict: an answer may have come while this process could not look.
        self._read()
        self._ask()
        self._next_in(ASK_AGAIN_S)

    def _next_in(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(wait_s, self._turn)

    def _ask(self) -> None:
        working, self._working = self._working, False
        self._judge(lambda now_s: self._watch.ask(now_s, working=working))
        if self._watch.in_doubt and (self._look is None or self._look.done()):
            self._look = self._loop.create_task(self._look_at_workers(), name="kamailio's workers")
        try:
            if self._socket is None:
                self._socket = self._questions.open()
                self._loop.add_reader(self._socket, self._read)
            self._socket.send(self._questions.next(self._socket.getsockname()))
        except BlockingIOError:
            pass
        except OSError as error:
            self._unreachable(error)

    async def _look_at_workers(self) -> None:
        """Find out whether the workers take in messages.

        Another process of Kamailio answers this, and does not wait for the workers. When they are
        flooded, the kernel drops messages, and this daemon's questions among them.
        """
        before, self._received = self._received, None
        with suppress(KamailioError):
            told = await rpc.ask_soon(self._path, rpc.STATISTICS, *_RECEIVED)
            self._received = sum(rpc.statistics(told).values())
        if before is not None and self._received is not None:
            self._working = self._received > before

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
                self._received = None
                self._next_in(ASK_EVERY_S)

    def _unreachable(self, error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        self._judge(lambda _: self._watch.unreachable(reason))
        self._heard.set()
        if not isinstance(error, ConnectionRefusedError):
            # The address may have gone, and may come back as another.
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
