"""Is this node of use? Live is being a process; ready is writing to and reading from a quorum.

In: questions of the metrics port and of `sipfarm status`. Out: yes, or no and why. The probe is an
ordinary registration record under a name that no phone can have; its result is kept for a moment,
so that asking often costs nothing.
"""

import asyncio

from overlay.control.messages import ContactChange, Refused, Register, Registered, RegisterOutcome
from overlay.errors import UnavailableError
from overlay.replication.registrations import Registrations

KEEP_S = 1.0
TIMEOUT_S = 0.5


def probe_name(node_name: str) -> str:
    """The name of the record that a node's probe writes."""
    return f"\x00ready\x00{node_name}"


class Readiness:
    """The readiness probe of one node."""

    def __init__(self, name: str, incarnation: int, registrations: Registrations) -> None:
        self._aor = probe_name(name)
        # A run of the node begins to count anew, so its CSeqs need a Call-ID of their own.
        self._call_id = f"ready-{incarnation}"
        self._registrations = registrations
        self._loop = asyncio.get_running_loop()
        self._known: tuple[bool, str] = (False, "not probed yet")
        self._until_s = 0.0
        self._probe: asyncio.Task[None] | None = None
        self._cseq = 0

    async def check(self) -> tuple[bool, str]:
        """(ready, why not)."""
        if self._loop.time() >= self._until_s:
            if self._probe is None or self._probe.done():
                self._probe = asyncio.create_task(self._run())
            await asyncio.shield(self._probe)
        return self._known

    async def _run(self) -> None:
        self._known = await self._write_and_read()
        self._until_s = self._loop.time() + KEEP_S

    async def _write_and_read(self) -> tuple[bool, str]:
        self._cseq += 1
        written: asyncio.Future[Registered | Refused] = self._loop.create_future()
        request = Register(
            aor=self._aor,
            call_id=self._call_id,
            cseq=self._cseq,
            contacts=(ContactChange(uri="sip:ready.invalid", expires_s=10),),
        )
        self._registrations.register(request, TIMEOUT_S, written.set_result)
        result = await written
        if not isinstance(result, Registered) or result.outcome is not RegisterOutcome.DONE:
            return False, "a quorum write failed"
        try:
            found = await self._registrations.read(self._aor, TIMEOUT_S)
        except UnavailableError as error:
            return False, f"a quorum read failed: {error}"
        return (True, "") if found.complete else (False, "too few replicas answered a read")
