"""Runs a Kamailio with a native script, on a host of its own.

In: a host, a configuration of this folder, the parameters of this run. Out: a running Kamailio, and
its answers over JSON-RPC.
"""

import json
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.network import Host
from bench.processes import running, wait_for

_CONFIGURATIONS = Path(__file__).parent
_READY_WITHIN_S = 10.0
_PRIVATE_MEMORY_MIB = 16


@contextmanager
def kamailio(
    host: Host,
    configuration: str,
    work_dir: Path,
    *,
    workers: int,
    shared_memory_mib: int,
    parameters: Sequence[tuple[str, str, str]] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator["Rpc"]:
    """A Kamailio on the host's port 5060, UDP, that answers when the block begins.

    `parameters` are module, name and value, beside those in the configuration.
    """
    run_dir = work_dir / host.namespace
    run_dir.mkdir()
    rpc = Rpc(run_dir / "rpc.sock")
    parameters = [("jsonrpcs", "dgram_socket", str(rpc.path)), *parameters]
    lines = [f'modparam("{module}", "{name}", "{value}")' for module, name, value in parameters]
    script = run_dir / configuration
    script.write_text((_CONFIGURATIONS / configuration).read_text() + "\n".join(lines) + "\n")
    command = [
        *("kamailio", "-f", str(script), "-DD", "-E"),
        *("-l", f"udp:{host.address}:5060", "-n", str(workers)),
        *("-m", str(shared_memory_mib), "-M", str(_PRIVATE_MEMORY_MIB)),
        # Not the default allocator `qm`, made for finding bugs: it doubles the CPU of a call.
        *("-x", "fm", "-X", "fm", "-Y", str(run_dir), "-P", str(run_dir / "pid")),
    ]
    log = run_dir / "log"
    with running(host.command(command), log, environment) as process:

        def answers() -> bool:
            return process.poll() is not None or rpc.answers()

        wait_for(f"{configuration} answers", answers, _READY_WITHIN_S, log)
        wait_for(f"{configuration} runs", lambda: process.poll() is None, 0, log)
        yield rpc


class Rpc:
    """Kamailio's JSON-RPC datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            self.ask("core.uptime")
        except OSError:
            return False
        return True

    def ask(self, method: str, *parameters: str) -> Any:
        """The result of one command; raises `OSError` when there is none within a second."""
        request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
        with (
            tempfile.TemporaryDirectory() as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
        ):
            client.bind(f"{folder}/answer.sock")
            client.settimeout(1)
            client.sendto(json.dumps(request).encode(), str(self.path))
            answer = json.loads(client.recv(65536))
        if "result" not in answer:
            raise OSError(f"{method}: {answer.get('error')}")
        return answer["result"]

    def bindings(self) -> int:
        """Contacts in its memory."""
        figures = self.ask("stats.fetchn", "location_contacts")
        return int(figures["usrloc.location_contacts"])
