"""Controls real phones of several stacks, each with only its user, password and the farm's name.

In: calls for what a person does with a phone. Out: what the phone shows its owner, as `Heard`. Each
phone finds the farm through the resolv.conf of its host, as its stack does. Counterparts:
`PjsipPhone` here, `phones_baresip.py`, `phones_linphone.py`; `phone_table.py` and `test_phones.py`,
which use them.
"""

import abc
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import ClassVar, Final

from deploy.lab import Lab, LabError, Phone
from deploy.lab.phone import PhoneEvent
from tests.closing import Closing
from tests.sip.credentials import PASSWORD

EXPIRES_S: Final = 60
"""What all phones ask for: it bounds how long one stays away that notices nothing."""
_LISTEN_S: Final = 0.1
_END_S: Final = 5.0


class Heard(Enum):
    """What a phone lets its owner know."""

    REGISTERED = "registered"
    REFUSED = "not registered"
    INCOMING = "incoming call"
    TALKING = "talking"
    HELD = "put on hold by the other side"
    ENDED = "call ended"


class RealPhone(Closing):
    """A phone on a phone host; close it, or use it as a context."""

    stack: ClassVar[str]
    transports: ClassVar[tuple[str, ...]]
    """Those that it can be configured with; `auto`: whatever DNS says."""
    farm_settings: ClassVar[Mapping[str, object]] = {}
    """What the farm must be told, by `section.key`, for this phone to work at all."""

    def __init__(self, lab: Lab, host: str, user: str, transport: str) -> None:
        self.host, self.user, self.transport = host, user, transport
        self.farm, self.aor = lab.farm, f"sip:{user}@{lab.farm}"
        self.address = lab.phone(host).address
        self.directory: Path = lab.host_directory(host)
        self._told: deque[Heard] = deque()

    def hears(self, *wanted: Heard, timeout_s: float) -> Heard | None:
        """The next of these that nobody waited for yet; None if there is none in time."""
        until_s = time.monotonic() + timeout_s
        while True:
            while self._told:
                told = self._told.popleft()
                if told in wanted:
                    return told
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return None
            self._told += self._listen(min(left_s, _LISTEN_S))

    def forget(self) -> None:
        """Let go of what it told so far."""
        while self.hears(*Heard, timeout_s=_LISTEN_S):
            pass

    def register(self, timeout_s: float = 20.0) -> None:
        """Register for the first time; later the phone does it by itself. Raises `LabError`."""
        self._begin_registering()
        heard = self.hears(Heard.REGISTERED, Heard.REFUSED, timeout_s=timeout_s)
        if heard is not Heard.REGISTERED:
            raise LabError(f"{self.stack} over {self.transport} could not register: {heard}")

    @abc.abstractmethod
    def dial(self, uri: str) -> None:
        """Begin a call."""

    @abc.abstractmethod
    def answer(self) -> None:
        """Answer the call that rings."""

    @abc.abstractmethod
    def hold(self) -> None:
        """Put the call on hold."""

    @abc.abstractmethod
    def hang_up(self) -> None:
        """End the call."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the phone."""

    @abc.abstractmethod
    def _begin_registering(self) -> None: ...

    @abc.abstractmethod
    def _listen(self, timeout_s: float) -> list[Heard]: ...


class PjsipPhone(RealPhone):
    """pjsua2 with the retries that it comes with: SRV, no NAPTR."""

    stack = "pjsip"
    transports = ("udp", "tcp", "tls")

    def __init__(self, lab: Lab, host: str, user: str, transport: str, *, node: str = "") -> None:
        """With `node`, it finds the farm's name there, and DNS is not asked; see `move`."""
        super().__init__(lab, host, user, transport)
        self._lab = lab
        settings: dict[str, object] = {"outbound_proxy": f"sip:{self.farm};transport=tcp;lr"}
        self._phone = Phone(
            lab,
            host,
            user,
            PASSWORD,
            answers=False,
            transport=transport,
            expires_s=EXPIRES_S,
            retry_s=300,
            names={self.farm: lab.node(node).address} if node else None,
            **(settings if transport == "tcp" else {}),
        )
        self._seen = 0

    def move(self, node: str) -> None:
        """From now on the farm's name is this node's."""
        self._lab.phone(self.host, {self.farm: self._lab.node(node).address})

    def dial(self, uri: str) -> None:
        """Begin a call."""
        self._phone.dial(uri)

    def answer(self) -> None:
        """Answer the call that rings."""
        self._phone.answer()

    def hold(self) -> None:
        """Put the call on hold."""
        self._phone.hold()

    def hang_up(self) -> None:
        """End the call."""
        self._phone.hang_up()

    def close(self) -> None:
        """End the phone."""
        self._phone.close()

    def _begin_registering(self) -> None:
        self._phone.start_registering()

    def _listen(self, timeout_s: float) -> list[Heard]:
        self._phone.listen(timeout_s)
        events = self._phone.events[self._seen :]
        self._seen += len(events)
        return [heard for event in events if (heard := _of_pjsip(event)) is not None]


def _of_pjsip(event: PhoneEvent) -> Heard | None:
    match event:
        case PhoneEvent(event="registration", code=code):
            return Heard.REGISTERED if code == 200 else Heard.REFUSED
        case PhoneEvent(event="incoming"):
            return Heard.INCOMING
        case PhoneEvent(event="call", state="CONFIRMED"):
            return Heard.TALKING
        case PhoneEvent(event="held"):
            return Heard.HELD
        case PhoneEvent(event="call", state="DISCONNECTED"):
            return Heard.ENDED
    return None


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a phone's process, by force if it does not listen."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
