"""Controls baresip, as Debian packages it, over its TCP control port.

In and out: see `phones.RealPhone`. Counterpart: baresip's module `ctrl_tcp`: netstrings with JSON.
Without a sound card, it sends back what it hears (its tone knows one sampling rate alone).
"""

import json
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from deploy.lab import Lab, LabError, certificates
from tests.farm.phones import EXPIRES_S, Heard, RealPhone, end
from tests.sip.credentials import PASSWORD

CONTROL_PORT: Final = 4444
_START_S: Final = 10.0
_CONFIG: Final = """\
sip_listen {address}:5060
sip_cafile {authority}
module_path /usr/lib/baresip/modules
module aubridge.so
module g711.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{port}
audio_source aubridge,nil
audio_player aubridge,nil
audio_alert aubridge,nil
"""
_HEARD: Final = {
    "REGISTER_OK": Heard.REGISTERED,
    "REGISTER_FAIL": Heard.REFUSED,
    "CALL_INCOMING": Heard.INCOMING,
    "CALL_ESTABLISHED": Heard.TALKING,
    "CALL_CLOSED": Heard.ENDED,
}


class BaresipPhone(RealPhone):
    """Baresip: NAPTR and SRV; registers as soon as it runs."""

    stack = "baresip"
    transports = ("auto", "udp", "tcp", "tls")
    # It ends a request with ENOSYS where one of several challenges is not MD5.
    farm_settings: ClassVar[Mapping[str, object]] = {"proxy.digest_algorithms": ["MD5"]}

    def __init__(self, lab: Lab, host: str, user: str, transport: str) -> None:
        super().__init__(lab, host, user, transport)
        directory = self.directory / f"baresip-{user}"
        directory.mkdir(exist_ok=True)
        config = _CONFIG.format(
            address=self.address, authority=certificates.AUTHORITY, port=CONTROL_PORT
        )
        over = f";transport={transport}" if transport != "auto" else ""
        # Without it, calls to the farm's name would go as NAPTR says, whatever the account's.
        by = f';outbound="sip:{self.farm}{over}"' if over else ""
        account = f"<sip:{user}@{self.farm}{over}>;auth_pass={PASSWORD};regint={EXPIRES_S}{by}\n"
        for name, text in (("config", config), ("accounts", account), ("contacts", "")):
            (directory / name).write_text(text, encoding="ascii")
        self._lab, self._directory = lab, directory
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._buffer = b""

    def dial(self, uri: str) -> None:
        """Begin a call."""
        self._tell("dial", uri)

    def answer(self) -> None:
        """Answer the call that rings."""
        self._tell("accept")

    def hold(self) -> None:
        """Put the call on hold."""
        self._tell("hold")

    def hang_up(self) -> None:
        """End the call."""
        self._tell("hangup")

    def close(self) -> None:
        """End the phone."""
        if self._control:
            self._control.close()
        if self._process:
            end(self._process)

    def _begin_registering(self) -> None:
        argv = ["baresip", "-v", "-s", "-f", str(self._directory)]
        with open(self._directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                self._lab.command_on(self.host, argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until_s = time.monotonic() + _START_S
        while self._control is None:
            try:
                self._control = socket.create_connection((self.address, CONTROL_PORT), _START_S)
            except ConnectionRefusedError:
                if time.monotonic() > until_s or self._process.poll() is not None:
                    raise LabError(f"baresip does not start; see {self._directory}/log") from None
                time.sleep(0.02)
        # It may have registered before anybody listened.
        self._tell("reginfo")

    def _tell(self, command: str, parameters: str = "") -> None:
        assert self._control
        text = json.dumps({"command": command, "params": parameters, "token": command}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def _listen(self, timeout_s: float) -> list[Heard]:
        assert self._control
        self._control.settimeout(max(timeout_s, 0.001))
        try:
            data = self._control.recv(65536)
        except TimeoutError:
            return []
        if not data:
            raise LabError(f"baresip has ended; see {self._directory}/log")
        self._buffer += data
        return [heard for told in self._netstrings() if (heard := _heard(told)) is not None]

    def _netstrings(self) -> list[dict[str, Any]]:
        found = []
        while b":" in self._buffer:
            length, _, rest = self._buffer.partition(b":")
            if len(rest) <= int(length):
                break
            found.append(json.loads(rest[: int(length)]))
            self._buffer = rest[int(length) + 1 :]
        return found


def _heard(told: dict[str, Any]) -> Heard | None:
    if told.get("token") == "reginfo" and "OK" in str(told.get("data")):
        return Heard.REGISTERED
    return _HEARD.get(str(told.get("type")))
