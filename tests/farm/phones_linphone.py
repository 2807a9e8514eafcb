"""Controls Linphone without a screen, over the pipe of `linphone-daemon`.

In and out: see `phones.RealPhone`. Counterpart: linphone-daemon. It takes a command in a line, and
answers with `Status:`. The command `pop-event` asks for its events.
"""

import re
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Final

from deploy.lab import Lab, LabError, certificates
from tests.farm.phones import EXPIRES_S, Heard, RealPhone, end
from tests.sip.credentials import PASSWORD

_START_S: Final = 10.0
_ANSWER_S: Final = 5.0
_POLL_S: Final = 0.02
_CONFIG: Final = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
reg_expires={expires_s}
root_ca={authority}
media_encryption={media_encryption}
[net]
dns_srv_enabled=1
mtu=1300
"""
_AS_BROWSERS: Final = """\
nat_policy_ref=ice
[nat_policy_0]
ref=ice
protocols=ice
[rtp]
rtcp_mux=1
"""
_NONE: Final = "0"
_ANY: Final = "-1"
_EVENT: Final = re.compile(r"^Event: Linphone(\w+)", re.MULTILINE)
_HEARD: Final = {
    "CallIncomingReceived": Heard.INCOMING,
    "CallStreamsRunning": Heard.TALKING,
    "CallEnd": Heard.ENDED,
    "CallError": Heard.ENDED,
}


class LinphonePhone(RealPhone):
    """Linphone: SRV."""

    stack = "linphone"
    transports = ("udp", "tcp", "tls")

    def __init__(
        self, lab: Lab, host: str, user: str, transport: str, *, as_browsers: bool = False
    ) -> None:
        """With `as_browsers`, its media are those of WebRTC: DTLS-SRTP and ICE, RTCP beside RTP."""
        super().__init__(lab, host, user, transport)
        home = self.directory / f"linphone-{user}-{uuid.uuid4().hex[:8]}"
        (home / ".local/share/linphone").mkdir(parents=True)
        ports = {"udp": "5060", "tcp": "5060", "tls": _ANY}
        used = {each: ports[each] if each == transport else _NONE for each in ports}
        text = _CONFIG.format(
            expires_s=EXPIRES_S,
            authority=certificates.AUTHORITY,
            media_encryption="dtls" if as_browsers else "none",
            **used,
        )
        text += _AS_BROWSERS if as_browsers else ""
        (home / "linphonerc").write_text(text, encoding="ascii")
        name = f"sipfarm-{home.name}"
        self._pipe, self._log = Path("/tmp", name), home / "log"
        argv = ["env", f"HOME={home}", "linphone-daemon", "--config", str(home / "linphonerc")]
        argv += ["--pipe", name, "--log", str(self._log), "--disable-stats-events"]
        self._process = subprocess.Popen(
            lab.command_on(host, argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._control = self._connected()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._registered = False

    def dial(self, uri: str) -> None:
        """Begin a call."""
        self._ask(f"call {uri}")

    def answer(self) -> None:
        """Answer the call that rings."""
        self._ask("answer")

    def hold(self) -> None:
        """Put the call on hold."""
        self._ask("call-pause")

    def hang_up(self) -> None:
        """End the call."""
        self._ask("terminate")

    def close(self) -> None:
        """End the phone."""
        self._control.close()
        end(self._process)
        self._pipe.unlink(missing_ok=True)

    def _begin_registering(self) -> None:
        over = f";transport={self.transport}" if self.transport != "udp" else ""
        # Its friend's media are IPv4, and it would prefer the farm's AAAA.
        self._ask("ipv6 disable")
        self._ask(f"register {self.aor} sip:{self.farm}{over} {PASSWORD}")

    def _listen(self, timeout_s: float) -> list[Heard]:
        until_s = time.monotonic() + timeout_s
        while True:
            if not self._registered and "RegistrationOk" in self._ask("register-status ALL"):
                self._registered = True
                return [Heard.REGISTERED]
            told = self._ask("pop-event")
            heard = [_HEARD[name] for name in _EVENT.findall(told) if name in _HEARD]
            if heard or time.monotonic() >= until_s:
                return heard
            time.sleep(_POLL_S)

    def _ask(self, command: str) -> str:
        self._control.sendall(f"{command}\n".encode())
        text = ""
        until_s = time.monotonic() + _ANSWER_S
        while "Status: " not in text or not text.endswith("\n"):
            if time.monotonic() > until_s:
                raise LabError(f"linphone does not answer {command!r}; see {self._log}")
            text += self._control.recv(65536).decode("utf-8", "replace")
        return text

    def _connected(self) -> socket.socket:
        until_s = time.monotonic() + _START_S
        while True:
            control = socket.socket(socket.AF_UNIX)
            control.settimeout(_ANSWER_S)
            try:
                control.connect(str(self._pipe))
            except (FileNotFoundError, ConnectionRefusedError):
                control.close()
                if time.monotonic() > until_s or self._process.poll() is not None:
                    raise LabError(f"linphone does not start; see {self._log}") from None
                time.sleep(_POLL_S)
            else:
                return control
