"""Runs commands on hosts by ssh.

In: a host, a command. Out: the command's output. Counterparts: sshd of the hosts; Ansible and
testinfra, which use the same configuration file.
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
    """Write the file that tells ssh how to reach each host, by its name or its address."""
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
        # ssh gives up a connection when the host at its other end has lost its power.
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "5",
        "LogLevel": "ERROR",
    }
    every = "Host *\n" + "".join(f"    {name} {value}\n" for name, value in common.items())
    SSH_CONFIG.write_text("".join([*blocks, every]), encoding="ascii")


def ssh_argv(host: Host, command: Sequence[str] | str = ()) -> list[str]:
    """The command line that runs a command on the host; a string goes to the host's shell."""
    text = command if isinstance(command, str) else shlex.join(command)
    return ["ssh", "-F", str(SSH_CONFIG), host.name, *([text] if text else [])]


def ssh(
    host: Host, command: Sequence[str] | str, *, timeout_s: float, given: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command on the host to its end; raises `HostsError` if it fails or takes too long."""
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
    """Whether the host's sshd greets a new connection."""
    try:
        with socket.create_connection((host.address, _SSH_PORT), _ANSWER_WITHIN_S) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
