"""Commands on hosts, by ssh.

In: a host's name, a command. Out: what it said. Counterparts: sshd of the hosts; the same
configuration file serves Ansible and testinfra.
"""

import shlex
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from deploy.hosts.layout import KNOWN_HOSTS, SSH_CONFIG, SSH_KEY, Host, HostsError

_SSH_PORT: Final = 22
_ANSWER_WITHIN_S: Final = 0.3
_CONNECT_WITHIN_S: Final = 10


def write_config(hosts: Sequence[Host]) -> None:
    """The file that tells ssh how to reach each host, by its name or its address."""
    blocks = [f"Host {host.name} {host.address}\n    HostName {host.address}\n" for host in hosts]
    common = {
        "User": "root",
        "IdentityFile": str(SSH_KEY),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(KNOWN_HOSTS),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": str(_CONNECT_WITHIN_S),
        # A connection that is kept open is given up when its host has lost its power.
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "5",
        "LogLevel": "ERROR",
    }
    every = "Host *\n" + "".join(f"    {name} {value}\n" for name, value in common.items())
    SSH_CONFIG.write_text("".join([*blocks, every]), encoding="ascii")


def ssh_argv(host: Host, command: Sequence[str] | str = ()) -> list[str]:
    """The command line that runs a command there: a string as its shell takes it."""
    text = command if isinstance(command, str) else shlex.join(command)
    return ["ssh", "-F", str(SSH_CONFIG), host.name, *([text] if text else [])]


def ssh(
    host: Host, command: Sequence[str] | str, *, timeout_s: float, given: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; raises `HostsError` if there is none in time."""
    try:
        return subprocess.run(
            ssh_argv(host, command),
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostsError(f"{host.name}: {command}: no end after {timeout_s:.0f} s") from error


def answers(host: Host) -> bool:
    """Whether its sshd greets."""
    try:
        with socket.create_connection((host.address, _SSH_PORT), _ANSWER_WITHIN_S) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
