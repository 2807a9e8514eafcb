"""Runs an edge proxy in front of the farm: a Kamailio on a phone host that adds Path (RFC 3327).

In: the lab, a phone host, the node that gets everything. Out: a process that runs until `close`. It
knows nothing of the farm but that node's address.
"""

import os
import signal
import socket
import subprocess
import time

from deploy.lab import Lab
from tests.closing import Closing
from tests.farm.raw_phone import SIP_PORT, socket_on
from tests.sip.message import encoded, new_branch, request, via

_READY_WITHIN_S = 15.0
_CONFIG = """#!KAMAILIO
children=2
disable_tcp=yes
log_stderror=yes
listen=udp:{address}:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
loadmodule "path.so"
modparam("rr", "append_fromtag", 0)
modparam("path", "use_received", 1)
request_route {{
    if (!mf_process_maxfwd_header("10")) exit;
    if (is_method("OPTIONS") && $rd == "{address}") {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        add_path_received("edge");
        append_hf("Supported: path\\r\\n");
        $du = "sip:{node}:5060";
        t_relay();
        exit;
    }}
    if (is_present_hf("Route")) {{
        # It says no to a preloaded Route that is the last one, though it has used it.
        loose_route();
        if (is_method("INVITE")) record_route();
        t_relay();
        exit;
    }}
    if (is_method("CANCEL") && !t_check_trans()) exit;
    if (is_method("INVITE")) record_route();
    $du = "sip:{node}:5060";
    t_relay();
}}
"""


class Edge(Closing):
    """One running edge proxy."""

    def __init__(self, lab: Lab, host: str, node: str) -> None:
        self.address = lab.phone(host).address
        directory = lab.host_directory(host) / "edge"
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "kamailio.cfg"
        text = _CONFIG.format(address=self.address, node=lab.node(node).address)
        config.write_text(text, encoding="ascii")
        self._log = directory / "log"
        with open(self._log, "wb") as log:
            command = ["kamailio", "-f", str(config), "-DD", "-E", "-m", "32", "-Y", str(directory)]
            self._process = subprocess.Popen(
                lab.command_on(host, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_answer(lab, host)

    def close(self) -> None:
        """End it with all its children. A SIGTERM it might hear too late."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _await_answer(self, lab: Lab, host: str) -> None:
        until_s = time.monotonic() + _READY_WITHIN_S
        with socket_on(lab, host, socket.SOCK_DGRAM) as probe:
            probe.bind((self.address, 0))
            probe.settimeout(0.2)
            while True:
                probe.sendto(self._options(probe.getsockname()[1]), (self.address, SIP_PORT))
                try:
                    probe.recv(65_535)
                except OSError:
                    assert time.monotonic() < until_s, self._log.read_text(errors="replace")[-3000:]
                    continue
                return

    def _options(self, port: int) -> bytes:
        return encoded(
            request(
                "OPTIONS",
                f"sip:{self.address}",
                via=via("UDP", f"{self.address}:{port}", new_branch()),
                sender=f"<sip:probe@{self.address}>;tag=p",
                receiver=f"<sip:{self.address}>",
                call_id="probe",
                cseq=1,
            )
        )
