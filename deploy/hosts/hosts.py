"""The test hosts: whole Debian systems on this machine, on one bridge, without the Internet.

In: calls from tests and from `__main__.py`. Out: changes to the machine, by `base.py`,
`packages.py`, `machine.py` and `network.py`. A network namespace has room for one set of hosts.
`layout.HostsState` keeps what the next command must know of them.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

import msgspec

from deploy.hosts import base, cgroups, cleanup, layout, machine, network, packages, remote
from deploy.hosts.commands import command, wait_until
from deploy.hosts.layout import Host, HostsError, HostsState, host

_BOOTED_WITHIN_S: Final = 60.0
_PROGRAMS: Final = ("systemd-nspawn", "dpkg-scanpackages", "ssh", "ssh-keygen", "ip")
_SERVER: Final = "packages"
JOURNAL_LINES: Final = 50


class Hosts:
    """The hosts that are up. Every method raises `HostsError` when it fails."""

    def __init__(self, state: HostsState) -> None:
        self._state = state

    @classmethod
    def attach(cls) -> "Hosts":
        """The hosts that an earlier command started."""
        _check_root()
        return cls(layout.load_state())

    @classmethod
    def prepare(cls, wanted: Sequence[str] = ()) -> None:
        """Make and fetch everything that a run could get only by the network.

        `wanted` names packages that hosts must be able to install besides those of a node.
        """
        _check_root()
        base.make()
        packages.download(wanted)

    @classmethod
    def up(cls, names: Sequence[str], *, wanted: Sequence[str] = (), kept: bool = False) -> "Hosts":
        """Start hosts of these names and wait until all answer; on failure nothing is left.

        The hosts end with the process that started them, or stay until `down` if `kept`.
        """
        _check_root()
        _check_programs()
        chosen = [host(name) for name in names]
        cleanup.remove_leftovers()
        if layout.DATA_DIR.exists():
            raise HostsError("hosts are up; remove them with: deploy/hosts/run down")
        owner = 0 if kept else os.getpid()
        state = HostsState(owner=owner, owner_started=cleanup.process_started(owner))
        try:
            layout.DATA_DIR.mkdir(parents=True)
            layout.save_state(state)
            network.create_bridge()
            key = str(layout.SSH_KEY)
            command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hosts", "-f", key])
            packages.fill_repository(wanted)
            cgroups.start(_SERVER, packages.SERVER, layout.DATA_DIR / "packages.log")
            hosts = cls(state)
            hosts.add(*(each.name for each in chosen))
        except BaseException:
            cleanup.remove()
            raise
        return hosts

    @staticmethod
    def down() -> bool:
        """Remove every trace of the hosts, in whatever state they are; false if there was none."""
        _check_root()
        return cleanup.remove()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all hosts, also of those that are off."""
        return self._state.names

    def host(self, name: str) -> Host:
        """The host of that name."""
        if name not in self._state.names:
            raise HostsError(f"no host {name!r}; there are {' '.join(self._state.names)}")
        return host(name)

    def address(self, name: str) -> str:
        """The host's address on the bridge."""
        return self.host(name).address

    def add(self, *names: str) -> None:
        """Start further hosts, all at once, and wait until they answer."""
        new = [host(name) for name in names]
        if taken := sorted(set(names) & set(self.names)) or len(set(names)) != len(names):
            raise HostsError(f"a host of this name is there already: {taken}")
        everyone = [*(host(name) for name in self.names), *new]
        self._state = msgspec.structs.replace(
            self._state, names=tuple(each.name for each in everyone)
        )
        layout.save_state(self._state)
        with ThreadPoolExecutor() as pool:
            keys = list(pool.map(machine.create, new))
        with open(layout.KNOWN_HOSTS, "a", encoding="ascii") as known:
            known.writelines(f"{each.address} {key}" for each, key in zip(new, keys, strict=True))
        remote.write_config(everyone)
        self.start(*names)

    def start(self, *names: str) -> None:
        """Switch on hosts that are off and wait until they answer."""
        chosen = [self.host(name) for name in names]
        with ThreadPoolExecutor() as pool:
            list(pool.map(machine.start, chosen))
        self.wait(*names)

    def kill(self, *names: str) -> None:
        """Send SIGKILL to all processes of these hosts, as when their power fails."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(machine.kill, [self.host(name) for name in names]))

    def switch_off(self, *names: str) -> None:
        """Shut these hosts down in good order."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(machine.switch_off, [self.host(name) for name in names]))

    def reboot(self, name: str) -> float:
        """Reboot one host; returns how many s it took until the host answered again."""
        before = self._boot_id(name)
        # The connection may end before the command does.
        remote.ssh(self.host(name), ["systemctl", "reboot"], timeout_s=_BOOTED_WITHIN_S)
        return wait_until(
            lambda: remote.answers(self.host(name)) and self._boot_id(name) not in ("", before),
            f"{name} has rebooted and answers ssh",
            _BOOTED_WITHIN_S,
        )

    def wait(self, *names: str) -> float:
        """Wait until these hosts answer ssh; returns how many s that took."""
        took_s = 0.0
        for each in (self.host(name) for name in names):
            try:
                took_s += wait_until(
                    lambda each=each: remote.answers(each),  # type: ignore[misc]
                    f"{each.name} answers ssh",
                    _BOOTED_WITHIN_S,
                )
            except HostsError as error:
                raise HostsError(f"{error}\n{_end_of(each)}") from None
        return took_s

    def ssh(
        self,
        name: str,
        argv: Sequence[str] | str,
        *,
        timeout_s: float = 60.0,
        given: str = "",
        check: bool = True,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command on a host as root; a string goes to the host's shell as it is."""
        done = remote.ssh(self.host(name), argv, timeout_s=timeout_s, given=given)
        if check and done.returncode:
            said = (done.stderr + done.stdout).strip()
            raise HostsError(f"{name}: {argv}: exit status {done.returncode}: {said}")
        return done

    def journal(self, name: str) -> str:
        """The last lines that the farm's units wrote to the host's journal."""
        lines = ["--no-pager", "--output=short-precise", f"--lines={JOURNAL_LINES}"]
        done = self.ssh(name, ["journalctl", *lines, "--unit=sipfarm*"], check=False)
        return done.stdout or done.stderr

    def _boot_id(self, name: str) -> str:
        done = remote.ssh(
            self.host(name), ["cat", "/proc/sys/kernel/random/boot_id"], timeout_s=_BOOTED_WITHIN_S
        )
        return done.stdout.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()


def _end_of(of: Host) -> str:
    if not of.console.exists():
        return "it said nothing"
    lines = of.console.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["the end of its console:", *lines[-20:]])


def _check_root() -> None:
    if os.geteuid() != 0:
        raise HostsError("hosts have namespaces and mounts, which only root may make: use sudo")


def _check_programs() -> None:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise HostsError(f"not installed: {' '.join(missing)}; run deploy/install")
