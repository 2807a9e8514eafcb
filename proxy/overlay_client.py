"""The questions of a worker to its node's daemon, with a deadline and a circuit breaker.

In: questions of the routes. Out: the daemon's answers as values; None if there is no answer, for
whatever reason. Counterpart: `overlay/control/server.py`, over `overlay.control.client`.

A worker that waits for a dead daemon serves nobody. So after a failed connection, or some missed
deadlines in a row, questions fail at once for a short while; then one question is let through.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from overlay.base.errors import ProtocolError, UnavailableError
from overlay.control import control_protocol, proxy_messages
from overlay.control.client import RefusedError
from overlay.records.call import CallEvent
from proxy import counters

PAUSE_S: Final = 0.25
"""How long questions fail at once after the daemon could not be reached."""
MISSED_DEADLINES_MAX: Final = 3
"""After so many missed deadlines in a row the daemon counts as out of reach; fewer may be a slow
quorum."""


class Asker(Protocol):
    """The part of `ControlClient` that is used here."""

    def ask(
        self, request: control_protocol.ControlRequest, deadline_s: float
    ) -> control_protocol.ControlAnswer:
        """The answer, or `UnavailableError`, `RefusedError`, `ProtocolError`."""


class OverlayClient:
    """The node's daemon, as a worker sees it."""

    def __init__(
        self,
        asker: Asker,
        count: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker = asker
        self._count = count
        self._clock = clock
        self._missed = 0
        self._closed_until_s = 0.0

    @property
    def out_of_reach(self) -> bool:
        """Whether the next question would fail without being asked."""
        return self._clock() < self._closed_until_s

    def ask(
        self, request: control_protocol.ControlRequest, deadline_s: float
    ) -> control_protocol.ControlAnswer | None:
        """The answer within `deadline_s` seconds, or None."""
        start_s = self._clock()
        if start_s < self._closed_until_s:
            self._count(counters.DAEMON_FAILED)
            return None
        try:
            answer = self._asker.ask(request, deadline_s)
        except RefusedError:
            self._missed = 0
            self._count(counters.DAEMON_FAILED)
            return None
        except (UnavailableError, ProtocolError):
            self._missed += 1
            now_s = self._clock()
            if now_s - start_s < deadline_s / 2 or self._missed >= MISSED_DEADLINES_MAX:
                self._closed_until_s = now_s + PAUSE_S
            self._count(counters.DAEMON_FAILED)
            return None
        self._missed = 0
        return answer

    def locate(self, aor: str, deadline_s: float) -> proxy_messages.Located | None:
        """The targets of an address-of-record."""
        answer = self.ask(proxy_messages.Locate(aor=aor), deadline_s)
        return answer if isinstance(answer, proxy_messages.Located) else None

    def secrets(
        self, aor: str, deadline_s: float, address: str = ""
    ) -> proxy_messages.Secrets | None:
        """The digest secrets of a subscriber. They are empty if there is no such subscriber;
        `locked_s` says for how long nobody may prove from `address` to be this subscriber."""
        answer = self.ask(proxy_messages.Authenticate(aor=aor, address=address), deadline_s)
        return answer if isinstance(answer, proxy_messages.Secrets) else None

    def login_failed(self, aor: str, address: str, deadline_s: float) -> None:
        """Tell that a client at this address gave a wrong password for this subscriber."""
        self.ask(proxy_messages.LoginFailed(aor=aor, address=address), deadline_s)

    def claim(
        self,
        aor: str,
        call_id: str,
        from_tag: str,
        cseq: int,
        calls_max: int,
        deadline_s: float,
    ) -> proxy_messages.CallClaimed | None:
        """Whether a subscriber may have one more call at a time."""
        request = proxy_messages.ClaimCall(
            aor=aor, call_id=call_id, from_tag=from_tag, cseq=cseq, calls_max=calls_max
        )
        answer = self.ask(request, deadline_s)
        return answer if isinstance(answer, proxy_messages.CallClaimed) else None

    def release(self, aor: str, call_id: str, from_tag: str, cseq: int, deadline_s: float) -> None:
        """Tell that a claimed call was refused."""
        request = proxy_messages.ReleaseCall(aor=aor, call_id=call_id, from_tag=from_tag, cseq=cseq)
        self.ask(request, deadline_s)

    def register(
        self, request: proxy_messages.Register, deadline_s: float
    ) -> proxy_messages.Registered | None:
        """The daemon's decision on a REGISTER."""
        answer = self.ask(request, deadline_s)
        return answer if isinstance(answer, proxy_messages.Registered) else None

    def write(self, event: CallEvent, deadline_s: float) -> bool:
        """Whether the daemon has made a call event safe."""
        return isinstance(
            self.ask(proxy_messages.WriteEvent(event=event), deadline_s), proxy_messages.Written
        )
