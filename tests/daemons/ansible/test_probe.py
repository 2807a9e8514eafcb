"""What the probe of the role `preflight` finds on this machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.unit.ansible.scripts import COLLECTION, script

probe = script("probe")


def test_a_listening_socket_is_seen_with_its_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        (found,) = [each for each in probe.listening() if each["port"] == port]
    assert (found["protocol"], found["address"]) == ("tcp", "127.0.0.1")
    assert found["process"] == Path(f"/proc/{os.getpid()}/comm").read_text().strip()


def test_addresses_are_read_as_the_kernel_writes_them() -> None:
    assert probe.address_of("0100007F") == "127.0.0.1"
    assert probe.address_of("00000000000000000000000001000000") == "::1"


def test_a_resolver_that_is_silent_is_told_from_one_that_answers() -> None:
    assert not probe.answers("127.0.0.253")


def test_what_is_found_is_json_that_a_program_reads() -> None:
    path = COLLECTION / "roles/preflight/files/probe.py"
    done = subprocess.run([sys.executable, path], capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert found["python"].startswith("3.11.")
    assert found["memory_mib"] > 0
    assert "127.0.0.1" in found["addresses"]
