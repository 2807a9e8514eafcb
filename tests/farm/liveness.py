"""Checks that a node's Kamailio withstands what it is sent: its workers, its memory, its answers.

In: a node of the lab. Out: nothing, or an `AssertionError` that says what failed. Counterparts:
`test_torture.py`, `tests/fuzz/sip.py`.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any, Final

from deploy.lab import Lab
from deploy.lab.description import ServiceDescription
from tests.farm.raw_phone import RawPhone

_ANSWERS_OF_EACH_WORKER: Final = 4
_ANSWER_BYTES_MAX: Final = 1 << 20


class Watch:
    """Remembers how a node's Kamailio was, and compares."""

    def __init__(self, lab: Lab, node: str, host: str) -> None:
        self._lab, self._node, self._host = lab, node, host
        self._pids = self._processes()
        self._errors = self.python_errors()

    def well(self) -> None:
        """The same workers answer on every plain transport, and no route has failed."""
        asked = _ANSWERS_OF_EACH_WORKER * self._lab.config(self._node).proxy.worker_count
        for to in ({}, {"tcp_to": self._node}):
            with RawPhone(self._lab, self._host, "nobody", **to) as phone:
                for _ in range(asked):
                    answer = phone.ask(self._node, "OPTIONS", f"sip:{phone.farm}", prove=False)
                    assert answer.code == 200, answer
        assert self._processes() == self._pids, "a process of Kamailio's was lost"
        errors = self.python_errors()
        assert errors == self._errors, "\n".join(self._failed_routes())

    def python_errors(self) -> int:
        """How often a route raised what it should not."""
        return int(self.ask("cnt.get", "sipfarm", "python_errors"))

    def memory_bytes(self) -> tuple[int, int]:
        """Shared memory used, and the largest of what its processes use of their own."""
        shared = int(self.ask("core.shmmem", "b")["real_used"])
        private = max(int(each["real_used"]) for each in self.ask("pkg.stats"))
        return shared, private

    def ask(self, method: str, *parameters: str) -> Any:
        """What Kamailio says to a command on its JSON-RPC socket."""
        path = Path(self._lab.config(self._node).kamailio_socket)
        own = path.with_name(f"watch-{os.getpid()}.sock")
        request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            own.unlink(missing_ok=True)
            asking.bind(str(own))
            try:
                own.chmod(0o666)
                asking.settimeout(5)
                asking.sendto(json.dumps(request).encode(), str(path))
                return json.loads(asking.recv(_ANSWER_BYTES_MAX))["result"]
            finally:
                own.unlink()

    def _processes(self) -> frozenset[int]:
        return frozenset(self._kamailio().pids)

    def _failed_routes(self) -> list[str]:
        """The last lines of the node's log that say so."""
        lines = Path(self._kamailio().log).read_text(errors="replace").splitlines()
        return [line for line in lines if "route failed" in line][-3:] or ["a route has failed"]

    def _kamailio(self) -> ServiceDescription:
        described = {node.name: node for node in self._lab.describe().nodes}[self._node]
        (kamailio,) = (each for each in described.processes if each.name == "kamailio")
        return kamailio
