"""Controls a phone in a web page, in a real Chromium: SIP.js over `wss`, WebRTC for media.

In and out: see `phones.RealPhone`.
Counterparts: `browser/phone.js`, which is the phone; `browser/chromium.py`, its browser.
"""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.lab import Lab, certificates
from tests.farm.browser.chromium import Chromium
from tests.farm.phones import EXPIRES_S, Heard, RealPhone
from tests.sip.credentials import PASSWORD

ORIGIN: Final = "https://phone.farm.test"
"""Whose pages the lab's nodes serve (`proxy.ws_origins`)."""
_PAGES: Final = Path(__file__).with_name("browser")


class BrowserPhone(RealPhone):
    """SIP.js in Chromium: addresses of the farm's name, no SRV, as browsers know none."""

    stack = "browser"
    transports = ("wss",)

    def __init__(
        self, lab: Lab, host: str, user: str, transport: str = "wss", *, origin: str = ORIGIN
    ) -> None:
        super().__init__(lab, host, user, transport)
        home = self.directory / f"browser-{user}-{uuid.uuid4().hex[:8]}"
        home.mkdir(parents=True)
        port = lab.config(lab.nodes[0].name).proxy.wss_port
        self._settings = {
            "server": f"wss://{self.farm}:{port}",
            "user": user,
            "farm": self.farm,
            "password": PASSWORD,
            "expires_s": EXPIRES_S,
        }
        self.call_id = ""
        """Of the last call that it was called by, or that it made."""
        self.codes: list[int] = []
        """The status codes that it was answered with, but 2xx."""
        self._browser = Chromium(
            home, lambda argv: lab.command_on(host, argv), certificates.AUTHORITY
        )
        try:
            self._browser.open(origin, _PAGES, "phone.html")
        except BaseException:
            self._browser.close()
            raise

    def dial(self, uri: str) -> None:
        """Begin a call."""
        self.call_id = self._do("dial", uri)

    def answer(self) -> None:
        """Answer the call that rings."""
        self._do("answer")

    def hold(self) -> None:
        """Put the call on hold."""
        self._do("hold")

    def hang_up(self) -> None:
        """End the call."""
        self._do("hangUp")

    def packets(self) -> Mapping[str, int]:
        """How many RTP packets the call has `sent` and `received` so far."""
        return dict(self._do("packets"))

    def picture(self) -> bytes:
        """What its owner sees, as PNG."""
        return self._browser.picture()

    def close(self) -> None:
        """Unregister and end the phone."""
        try:
            self._do("stop")
        finally:
            self._browser.close()

    def start_registering(self) -> None:
        """Register, however that may end."""
        self._begin_registering()

    def _begin_registering(self) -> None:
        self._do("start", self._settings)

    def _listen(self, timeout_s: float) -> list[Heard]:
        told = self._browser.listen(timeout_s)
        for each in told:
            self.call_id = each.get("call_id", self.call_id)
            self.codes += [each["code"]] if each.get("code", 0) else []
        return [Heard(each["event"]) for each in told if each["event"] in _KNOWN]

    def _do(self, what: str, *arguments: Any) -> Any:
        text = ", ".join(json.dumps(each) for each in arguments)
        return self._browser.evaluate(f"window.phone.{what}({text})")


_KNOWN: Final = frozenset(each.value for each in Heard)
