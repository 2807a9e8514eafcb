"""Keeps the farm's promises: every acknowledgement that a client saw, and what it promises.

In: acknowledgements as they happen. Out: what must be true from then on. Counterparts:
`clients.py`, which writes it; `checks.py`, which holds the farm to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from overlay.records import registration
from overlay.records.call import CallEvent
from overlay.records.names import RecordKind, key_of
from tests.simulation.host import Host


@dataclass(kw_only=True)
class Promised:
    """An acknowledged call event."""

    event: CallEvent
    key: bytes
    level: str
    disks: set[tuple[str, int]]
    """Host and generation of each disk that had it when it was acknowledged."""

    def lost_rightly(self, hosts: Iterable[Host]) -> bool:
        """Every disk that had it was destroyed, or its copy there was."""
        now = {
            (host.name, host.disk.generation)
            for host in hosts
            if not host.gone and self.event.event_id not in host.disk.rotted
        }
        return not self.disks & now


@dataclass(frozen=True, kw_only=True)
class Sworn:
    """A subscriber that was acknowledged."""

    aor: str
    version: int
    disks: frozenset[tuple[str, int]]
    """Host and generation of each disk that had it then."""

    def lost_rightly(self, hosts: Iterable[Host]) -> bool:
        """Every disk that had it was destroyed, or had promised it falsely."""
        now = {
            (host.name, host.disk.generation)
            for host in hosts
            if not host.gone and (self.aor, self.version) not in host.disk.broken_promises
        }
        return not self.disks & now


@dataclass(kw_only=True)
class Phone:
    """A phone that registers again and again, each time with a higher CSeq."""

    aor: str
    call_id: str
    cseq: int = 0
    acked: int = 0
    """CSeq of the last REGISTER that was answered 200."""
    acked_removed: bool = False
    acked_until_s: float = 0.0
    """When the acknowledged binding ends, on the farm's true clock."""
    holders: set[str] = field(default_factory=set)
    """Hosts whose daemons had the acknowledged entry then."""
    acked_at_s: float = 0.0
    ends_s: dict[int, float] = field(default_factory=dict)
    """By CSeq, when what it asked for ends at the latest."""

    @property
    def key(self) -> bytes:
        """Of its registration."""
        return key_of(RecordKind.REGISTRATION, self.aor)

    @property
    def contact(self) -> str:
        """Its only one."""
        return f"sip:{self.aor.partition('@')[0]}@192.0.2.1"

    def cseq_at(self, host: Host) -> int:
        """The CSeq of this phone's entry at a host's daemon, or on its disk; 0: none."""
        body = None
        if host.node is not None:
            body = host.node.bindings.get(self.key)
        else:
            body = host.disk.bindings.load().get(self.key)
        for binding in registration.decode(body) if body else ():
            if binding.entry == (self.contact, self.call_id):
                return binding.cseq
        return 0

    def forgotten_rightly(self, hosts: Iterable[Host]) -> bool:
        """Every daemon that had the acknowledged entry died since.

        Registrations are safe by being on several nodes; the disk is only written behind.
        """
        by_name = {host.name: host for host in hosts}
        return all(
            by_name[name].gone or any(at_s >= self.acked_at_s for at_s in by_name[name].crashes)
            for name in self.holders
        )


@dataclass(kw_only=True)
class Ledger:
    """All promises of one run."""

    events: dict[bytes, Promised] = field(default_factory=dict)
    written: set[bytes] = field(default_factory=set)
    """Ids of all events that anybody tried to write."""
    calls: list[str] = field(default_factory=list)
    phones: list[Phone] = field(default_factory=list)
    subscribers: dict[str, Sworn] = field(default_factory=dict)
    """What was acknowledged last, by address-of-record."""
    broken: list[str] = field(default_factory=list)
    """Promises that were found broken."""
    lookups: int = 0
    refused: int = 0

    def fail(self, text: str) -> None:
        """A promise was broken."""
        if len(self.broken) < 20:
            self.broken.append(text)
