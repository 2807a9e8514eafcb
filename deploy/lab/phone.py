"""Controls a phone of the lab for tests and the demo.

In: calls for what a person does with a phone. Out: what the phone reports, as `PhoneEvent`s.
Counterpart: `softphone.py`, which is the phone itself and runs on the phone host.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from deploy.lab import certificates
from deploy.lab.lab import Lab
from deploy.lab.layout import LabError

_START_WITHIN_S = 20.0
_END_WITHIN_S = 10.0


class PhoneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a person would type into the phone."""

    user: str
    domain: str
    address: str
    """The phone's own address, which it binds to."""
    port: int = 5060
    """The phone's own port, for UDP and TCP."""
    password: str = ""
    nameservers: tuple[str, ...] = ()
    """The addresses of the name servers at which the phone resolves SIP URIs by SRV. If empty, it
    looks up addresses as its host does."""
    outbound_proxy: str = ""
    """The URI through which the phone sends REGISTERs and the requests that begin a dialog."""
    transport: str = "udp"
    """`udp`, `tcp` or `tls`. With `tls`, everything goes encrypted to the farm's name."""
    authority: str = ""
    """For TLS: the file of the CA that the phone trusts (PEM)."""
    expires_s: int = 300
    retry_s: int = 0
    """How many s after a failed registration the phone tries again. It also registers at once when
    its connection breaks. pjsua's default is 300; with 0, the phone never tries by itself."""
    answers: bool = True
    """Whether the phone answers calls at once; otherwise they ring."""


class PhoneEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One report of the phone. Fields that do not belong to its kind are empty."""

    event: str
    """The kind: `ready`, `registration`, `incoming`, `call`, `media`, or `held` when the other side
    has put the call on hold."""
    state: str = ""
    """The call's state, by pjsip's names: `CALLING`, `EARLY`, `CONFIRMED`, `DISCONNECTED`, …"""
    code: int = 0
    """The SIP status of a registration, or of a call's last response."""
    reason: str = ""
    call_id: str = ""
    remote: str = ""
    expires_s: int = 0
    duration_ms: int = 0
    sent: int = 0
    received: int = 0
    """How many RTP packets the phone has received."""


class Phone:
    """A real phone on a phone host; close it, or use it as a context."""

    def __init__(
        self,
        lab: Lab,
        host: str,
        user: str,
        password: str = "",
        *,
        names: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """Start the phone; `settings` are further fields of `PhoneSettings`.

        `names` are addresses by name. If the farm's name is in it, the phone uses the node at that
        address. Otherwise the phone resolves the farm's name by SRV at the farm's own DNS.
        """
        address = lab.phone(host, names or {}).address
        servers = () if names else tuple(node.address for node in lab.nodes)
        self.settings = PhoneSettings(
            user=user,
            password=password,
            domain=lab.farm,
            address=address,
            nameservers=servers,
            authority=str(certificates.AUTHORITY),
            **settings,
        )
        self.aor = f"sip:{user}@{lab.farm}"
        self.address = address
        log = lab.host_directory(host) / f"phone-{user}.log"
        self.events: list[PhoneEvent] = []
        """All reports of the phone so far."""
        self._seen = 0
        self._buffer = b""
        argument = msgspec.json.encode(self.settings).decode()
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                lab.command_on(host, [sys.executable, "-m", "deploy.lab.softphone", argument]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "SOFTPHONE_LOG": str(log.with_suffix(".sip.log"))},
                bufsize=0,
            )
        try:
            self.wait("ready", timeout_s=_START_WITHIN_S)
        except BaseException:
            self.close()
            raise

    def register(self, timeout_s: float = 30.0) -> PhoneEvent:
        """Register; returns the event that says how that ended."""
        self.start_registering()
        return self.wait("registration", timeout_s=timeout_s)

    def start_registering(self) -> None:
        """Begin to register; a `registration` event follows."""
        self._tell(do="register")

    def unregister(self, timeout_s: float = 30.0) -> PhoneEvent:
        """Remove the registration; returns the event that says how that ended."""
        self._tell(do="unregister")
        return self.wait("registration", timeout_s=timeout_s)

    def dial(self, uri: str) -> None:
        """Begin a call; `call` events follow."""
        self._tell(do="call", to=uri)

    def call(self, uri: str, timeout_s: float = 30.0) -> PhoneEvent:
        """Begin a call; returns the event of its answer or of its failure."""
        self.dial(uri)
        return self.wait("call", "CONFIRMED", "DISCONNECTED", timeout_s=timeout_s)

    def answer(self, code: int = 200) -> None:
        """Answer the calls that ring, with this SIP status."""
        self._tell(do="answer", code=code)

    def hang_up(self) -> None:
        """End all calls, and give up those that only ring."""
        self._tell(do="hang up")

    def hold(self) -> None:
        """Put the calls on hold, with a re-INVITE."""
        self._tell(do="hold")

    def count_media(self) -> PhoneEvent:
        """The `media` event that says how many RTP packets the call has sent and received."""
        self._tell(do="count media")
        return self.wait("media")

    def wait(self, event: str, *states: str, timeout_s: float = 30.0) -> PhoneEvent:
        """The next event of this kind, in one of these states, that no earlier call returned.

        Raises `LabError`, which lists the phone's other reports, if none comes in time.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            while self._seen < len(self.events):
                found = self.events[self._seen]
                self._seen += 1
                if found.event == event and (not states or found.state in states):
                    return found
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not self.listen(left_s):
                wanted = " ".join([event, *states])
                raise LabError(
                    f"{self.settings.user}'s phone: no {wanted} within {timeout_s:.1f} s, but: "
                    + "; ".join(f"{e.event} {e.state} {e.code}" for e in self.events[-6:])
                )

    def listen(self, timeout_s: float) -> bool:
        """Take in the phone's next report; false if none comes in time, or the phone has ended."""
        assert self._process.stdout
        output = self._process.stdout.fileno()
        if not select.select([output], [], [], timeout_s)[0]:
            return False
        data = os.read(output, 65536)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self.events += [msgspec.json.decode(line, type=PhoneEvent) for line in lines]
        return bool(data)

    def close(self) -> None:
        """Hang up, unregister and end."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tell(self, **command: object) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(msgspec.json.encode(command) + b"\n")
        except BrokenPipeError:
            raise LabError(f"{self.settings.user}'s phone has ended") from None
