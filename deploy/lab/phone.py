"""A phone of the lab, as tests and the demo hold it in their hands.

In: what a person does with a phone. Out: what the phone says, as `PhoneEvent`s. Counterpart:
`softphone.py`, which is the phone and runs on the phone host.
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
    """What somebody would type into the phone."""

    user: str
    domain: str
    address: str
    """The phone's own, that it binds to."""
    port: int = 5060
    """UDP and TCP."""
    password: str = ""
    nameservers: tuple[str, ...] = ()
    """Resolves SIP URIs by SRV at these; without, it looks up addresses as the host does."""
    outbound_proxy: str = ""
    """Sends what begins a dialog, and REGISTER, by way of this URI."""
    transport: str = "udp"
    """`udp`, `tcp`, or `tls`, which sends all by way of the farm's name, encrypted."""
    authority: str = ""
    """PEM: the CA whose certificates the phone takes; for TLS."""
    expires_s: int = 300
    retry_s: int = 0
    """Registers again so long after it could not, and at once when its connection breaks, as
    pjsua's 300 does; 0: never by itself."""
    answers: bool = True
    """Answer calls at once; otherwise let them ring."""


class PhoneEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the phone told; fields that do not belong to its kind are empty."""

    event: str
    """`ready`, `registration`, `incoming`, `call`, `media`; `held`: by the other side."""
    state: str = ""
    """Of a call, pjsip's names: `CALLING`, `EARLY`, `CONFIRMED`, `DISCONNECTED`, …"""
    code: int = 0
    """SIP status of a registration or of a call's last response."""
    reason: str = ""
    call_id: str = ""
    remote: str = ""
    expires_s: int = 0
    duration_ms: int = 0
    sent: int = 0
    received: int = 0
    """RTP packets."""


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

        `names` decides which address the phone finds for a name: with the farm's name in it, the
        phone uses that node. Without, it resolves the farm's name by SRV at the farm's own DNS.
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
        """All that the phone told so far."""
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
        """Register, and return how that ended."""
        self.start_registering()
        return self.wait("registration", timeout_s=timeout_s)

    def start_registering(self) -> None:
        """Begin to register; `registration` follows."""
        self._tell(do="register")

    def unregister(self, timeout_s: float = 30.0) -> PhoneEvent:
        """Remove the registration, and return how that ended."""
        self._tell(do="unregister")
        return self.wait("registration", timeout_s=timeout_s)

    def dial(self, uri: str) -> None:
        """Begin a call; `call` events follow."""
        self._tell(do="call", to=uri)

    def call(self, uri: str, timeout_s: float = 30.0) -> PhoneEvent:
        """Begin a call and return the event of its answer, or of its failure."""
        self.dial(uri)
        return self.wait("call", "CONFIRMED", "DISCONNECTED", timeout_s=timeout_s)

    def answer(self, code: int = 200) -> None:
        """Answer the calls that ring."""
        self._tell(do="answer", code=code)

    def hang_up(self) -> None:
        """End all calls, or give them up if they only ring."""
        self._tell(do="hang up")

    def hold(self) -> None:
        """Put the calls on hold, with a re-INVITE."""
        self._tell(do="hold")

    def count_media(self) -> PhoneEvent:
        """How many RTP packets the call has sent and received so far."""
        self._tell(do="count media")
        return self.wait("media")

    def wait(self, event: str, *states: str, timeout_s: float = 30.0) -> PhoneEvent:
        """The next event of this kind, in one of these states, that nobody waited for yet.

        Raises `LabError`, with what the phone told instead, if none comes in time.
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
        """Take in what the phone tells next; false if it tells nothing in time, or has ended."""
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
