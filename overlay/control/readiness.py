"""Whether this node can serve calls: it writes to and reads from a quorum, and its Kamailio
answers.

In: questions of the metrics port and of `sipfarm status`. Out: the reasons why the node is not
ready, if any. To probe the quorum, the node writes and reads an ordinary registration record, under
a name that no phone can have. The result is kept for a moment, so frequent questions cost nothing.
Counterparts: `overlay.observe.heartbeat`, which tells whether the daemon lives;
`overlay.kamailio.watcher`.
"""

import asyncio
from collections.abc import Callable

from overlay.base.errors import UnavailableError
from overlay.records.names import probe_name
from overlay.records.refusal import Refusal
from overlay.records.register import (
    ContactChange,
    RegisterOutcome,
    RegisterRequest,
    RegisterResult,
)
from overlay.replication.registrations import Registrations

KEEP_S = 1.0
TIMEOUT_S = 0.5


class Readiness:
    """The readiness probe of one node."""

    def __init__(
        self,
        name: str,
        incarnation: int,
        registrations: Registrations,
        proxy_away: Callable[[], str],
    ) -> None:
        """`proxy_away` returns why Kamailio counts as away; an empty text while Kamailio
        answers."""
        self._aor = probe_name(name)
        # Each run of the daemon counts its CSeqs from 1 again, so each run needs a Call-ID of its
        # own.
        self._call_id = f"ready-{incarnation}"
        self._registrations = registrations
        self._proxy_away = proxy_away
        self._loop = asyncio.get_running_loop()
        self._known = "not probed yet"
        self._until_s = 0.0
        self._probe: asyncio.Task[None] | None = None
        self._cseq = 0

    async def check(self) -> tuple[str, ...]:
        """All reasons why the node is not ready; empty if it is ready."""
        if self._loop.time() >= self._until_s:
            if self._probe is None or self._probe.done():
                self._probe = asyncio.create_task(self._run())
            await asyncio.shield(self._probe)
        away = self._proxy_away()
        reasons = (self._known, f"Kamailio: {away}" if away else "")
        return tuple(reason for reason in reasons if reason)

    async def _run(self) -> None:
        self._known = await self._write_and_read()
        self._until_s = self._loop.time() + KEEP_S

    async def _write_and_read(self) -> str:
        self._cseq += 1
        written: asyncio.Future[RegisterResult | Refusal] = self._loop.create_future()
        request = RegisterRequest(
            aor=self._aor,
            call_id=self._call_id,
            cseq=self._cseq,
            contacts=(ContactChange(uri="sip:ready.invalid", expires_s=10),),
        )
        self._registrations.register(request, TIMEOUT_S, written.set_result)
        result = await written
        if not isinstance(result, RegisterResult) or result.outcome is not RegisterOutcome.DONE:
            return "a quorum write failed"
        try:
            found = await self._registrations.read(self._aor, TIMEOUT_S)
        except UnavailableError as error:
            return f"a quorum read failed: {error}"
        return "" if found.complete else "too few replicas answered a read"
