"""Runs sipp on a phone host with one of the scenarios in `sipp/`.

In: a scenario's name, values for its placeholders. Out: nothing, or an `AssertionError` with sipp's
complaint. Counterparts: `sipp/*.xml`.
"""

import itertools
import os
import signal
import subprocess
import uuid
from pathlib import Path

from deploy.lab import Lab
from tests.closing import Closing

_SCENARIOS = Path(__file__).parent / "sipp"
_KILL_AFTER_S = 5.0
_numbers = itertools.count(1)


class Sipp(Closing):
    """One sipp process that plays calls; `wait` says whether all went as their scenario says."""

    def __init__(
        self,
        lab: Lab,
        host: str,
        scenario: str,
        *,
        to: str = "",
        port: int = 5070,
        timeout_s: int = 20,
        code: int = 0,
        service: str = "",
        password: str = "",
        call_id: str = "",
        calls: int = 1,
        rate: int = 10,
        **keys: str | int,
    ) -> None:
        """Start; `to` is `address:port` of a node, empty for a callee.

        `code` is the response that the scenario expects, `keys` are its other placeholders. Of
        several `calls`, `rate` begin each second, and `call_id` begins the Call-ID of each.
        """
        address = lab.phone(host).address
        self.call_id = call_id or uuid.uuid4().hex
        self._name = f"{scenario}-{next(_numbers)}"
        self._directory = lab.host_directory(host) / "sipp" / self._name
        self._directory.mkdir(parents=True)
        file = self._directory / f"{scenario}.xml"
        text = (_SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        file.write_text(text.replace("@code@", str(code)), encoding="utf-8")
        values = {"farm": lab.farm, "bye_via": to.partition(":")[0], **keys}
        options = [part for key, value in values.items() for part in ("-key", key, str(value))]
        options += ["-s", service, "-au", service, "-ap", password] if service else []
        every_call = self.call_id if calls == 1 else f"{self.call_id}-%u-%p@%s"
        options += ["-cid_str", every_call, "-r", str(rate)] if to else []
        options += ["-timeout", f"{timeout_s}s", "-timeout_error"]
        if calls > 1:
            # Under load two workers may send a 180 after its 200: no reason to give a call up.
            options += ["-default_behaviors", "all,-abortunexp"]
        options += ["-trace_err", "-error_file", str(self._directory / "errors")]
        options += ["-trace_msg", "-message_file", str(self._directory / "messages")]
        local = ["-i", address, "-p", str(port), "-m", str(calls), "-nostdin"]
        target = [to] if to else []
        self._timeout_s = timeout_s
        self._output = open(self._directory / "output", "wb")  # noqa: SIM115
        self._process = subprocess.Popen(
            lab.command_on(host, ["sipp", "-sf", str(file), *local, *options, *target]),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            env={**os.environ, "TERM": "dumb"},
        )

    def wait(self) -> None:
        """Wait for the scenario's end; raises `AssertionError` if it went otherwise."""
        try:
            status = self._process.wait(self._timeout_s + _KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        assert status == 0, "\n".join(
            [f"sipp {self._name}: exit status {status}", self._tail("errors"), self.messages()]
        )

    @property
    def messages_path(self) -> Path:
        """Where everything is that was sent and received."""
        return self._directory / "messages"

    def messages(self) -> str:
        """What was sent and received so far."""
        return self._tail("messages")

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def _tail(self, name: str) -> str:
        path = self._directory / name
        return path.read_text(encoding="utf-8", errors="replace")[-6000:] if path.exists() else ""
