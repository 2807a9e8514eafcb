"""Asks and loads the farm on test hosts from outside: by ssh, DNS, HTTP and SIP.

In: `Hosts`. Out: the nodes' answers, and load on them. Counterparts: `sipfarm` on the nodes; the
phones of `tests/sip/rolling_load.py`, on this machine.
"""

import asyncio
import contextlib
import json
import re
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from deploy.hosts import Hosts, HostsError
from deploy.hosts.layout import DATA_DIR, MACHINE
from tests.farm.asking import eventually
from tests.farm.rolling import under_load
from tests.hosts import inventory
from tests.hosts.documents import Reader, environment
from tests.hosts.inventory import FARM, NODES, OPERATOR
from tests.hosts.playbooks import Played, play
from tests.sip.credentials import PASSWORD
from tests.sip.registration import Registration
from tests.sip.rolling_load import EXPIRES_S, Places, RollingLoad, Tally
from tests.sip.site import PhoneSite, on_machine
from tests.sip.srv_lookup import SrvLookup
from tests.sip.srv_sender import SrvSender

T = TypeVar("T")
CALLEE: Final = "called"
USERS: Final = tuple(f"phone-{number}" for number in range(12))
"""Who registers under load; as many as are on their way at once."""
KEPT: Final = tuple(f"kept-{number}" for number in range(30))
"""Who registers once, and must be found for ever after."""
RATE: Final = 20
TRANSPORTS: Final = ("udp", "tcp", "tls")
_PLAYBOOK: Final = re.compile(r"^ansible-playbook .* sipfarm\.farm\.(\w+)")
_PLAY_WITHIN_S: Final = 600.0
_RECORDED_WITHIN_S: Final = 40.0
_NODES_PYTHON: Final = "/usr/lib/sipfarm/bin/python3"
_LOCATE: Final = """
import contextlib, io, sys
from overlay.cli.main import main

for user in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()):
        status = main(["location", user])
    if status:
        print(user)
"""
"""As `sipfarm location` for each user, in one process."""
_OPERATOR_KEY: Final = "/var/lib/sipfarm-authority/ca/operator.key"


@dataclass
class Line:
    """A line of what is printed at the end."""

    what: str
    took_s: float
    changed: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests meanwhile, by transport."""
    failed: int = 0

    @property
    def requests(self) -> str:
        """For people."""
        return ", ".join(f"{self.asked[each]} {each}" for each in TRANSPORTS if self.asked[each])


@dataclass
class HostsFarm:
    """What the tests share."""

    hosts: Hosts
    reader: Reader
    """Who types what the documents say."""
    old: Path
    """The package of the last release."""
    new: Path
    """That of this tree."""
    broken: Path
    """One whose daemon does not start."""
    nodes: tuple[str, ...] = NODES
    lines: list[Line] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    """Of loads whose every call must stay on record."""
    _counting: Tally | None = None
    _counted: Counter[str] = field(default_factory=Counter)

    def type(self, document: str, *sections: str, packages: Sequence[Path] = ()) -> list[Played]:
        """Type what a document says below these headings; what came of its playbooks."""
        done = self.reader.type(document, *sections, packages=packages or (self.old, self.new))
        found = [(each, _PLAYBOOK.search(each.command.text)) for each in done]
        played = []
        for each, playbook in found:
            if playbook is not None:
                played.append(Played(took_s=each.took_s, status=0, text=each.output))
                self._add_line(playbook[1], played[-1])
        return played

    def play(
        self,
        playbook: str,
        variables: Mapping[str, str] | None = None,
        *,
        what: str = "",
        data: dict[str, Any] | None = None,
        timeout_s: float = _PLAY_WITHIN_S,
        until: Callable[[], bool] = lambda: False,
    ) -> Played:
        """Run a playbook on the documents' inventory, or another one."""
        written = inventory.write(data) if data else self.reader.home / "farm.yml"
        played = play(
            playbook,
            written,
            variables or {},
            environment=environment(self.reader.home),
            log=DATA_DIR / f"{playbook}.log",
            timeout_s=timeout_s,
            until=until,
        )
        self._add_line(what or playbook, played)
        return played

    def _add_line(self, what: str, played: Played) -> None:
        self.lines.append(Line(what, played.took_s, str(sum(played.changed.values()))))
        self._count()

    @contextlib.contextmanager
    def load(self, *, rate: int = RATE) -> Iterator[Tally]:
        """Phones call and register over every transport as long as the block lasts."""
        load = RollingLoad(
            Places(callee=self.site(), callers=self.site(), registering=self.site()),
            CALLEE,
            USERS,
            calls_per_s=rate,
            registers_per_s=rate,
            transports=TRANSPORTS,
        )
        self._counted = Counter[str]()
        try:
            with under_load(load) as tally:
                eventually(lambda: tally.asked["BYE"] > 0, "calls go on")
                self._counting = tally
                yield tally
            self._count()
        finally:
            self._counting = None
        self.tallies.append(tally)

    def _count(self) -> None:
        """The requests that came since the last line go with this one."""
        if self._counting is None:
            return
        asked = self._counting.asked_over
        line = self.lines[-1]
        line.asked += asked - self._counted
        line.failed = len(self._counting.failed) - self._counted["failed"]
        self._counted = asked + Counter(failed=len(self._counting.failed))

    def note(self, what: str, took_s: float) -> None:
        """A line of what is printed at the end."""
        self.lines.append(Line(what, took_s))
        self._count()

    def site(self) -> PhoneSite:
        """This machine as a place for phones."""
        servers = tuple(self.hosts.address(name) for name in NODES)
        return on_machine(FARM, MACHINE, servers, inventory.SIP_AUTHORITY.certificate)

    def add_subscribers(self, users: Iterable[str]) -> None:
        """With the tests' password, signed by the operator's key."""
        key = self.hosts.ssh(OPERATOR, ["cat", _OPERATOR_KEY]).stdout
        rows = "".join(f"{user},{PASSWORD}\n" for user in users)
        at = self.nodes[0]
        for path, text in (("/run/operator.key", key), ("/run/users.csv", rows)):
            self.hosts.ssh(at, f"umask 077; cat >{path}", given=text)
        command = "sipfarm subscriber add --file /run/users.csv --operator-key /run/operator.key"
        self.hosts.ssh(at, f"{command}; status=$?; rm /run/operator.key; exit $status")

    def register(self, users: Sequence[str]) -> None:
        """Register each once, over UDP."""

        async def all_of_them() -> list[str]:
            sender = SrvSender(self.site())
            failed = []
            for number, user in enumerate(users):
                contact = f"sip:{user}@{MACHINE}:{6000 + number}"
                phone = Registration(sender, user, contact, f"registration-of-{user}")
                answer = await phone.ask(EXPIRES_S)
                if answer is None or answer.code != 200:
                    failed.append(f"{user}: {answer.first_line if answer else sender.refusals}")
            await sender.close()
            return failed

        assert asyncio.run(all_of_them()) == []

    def in_dns(self) -> set[str]:
        """The nodes that phones are told of now."""
        lookup = SrvLookup(self.site(), "udp")
        return {target.name for target in asyncio.run(lookup.targets())}

    def is_ready(self, name: str) -> bool:
        """Whether a node says that it serves."""
        try:
            done = self.hosts.ssh(name, ["sipfarm", "status"], check=False, timeout_s=2.0)
        except HostsError:
            return False
        return done.returncode == 0

    def status(self, at: str) -> dict[str, dict[str, Any]]:
        """How each node is, as one of them sees it."""
        done = self.hosts.ssh(at, ["sipfarm", "status", "--json"])
        return {each["name"]: each for each in json.loads(done.stdout)["nodes"]}

    def wait_in_service(self, *names: str, timeout_s: float = 60.0) -> float:
        """Wait until these nodes are ready and in DNS; how many s that took."""
        began_s = time.monotonic()

        def serve() -> bool:
            return all(self.is_ready(name) for name in names) and set(names) <= self.in_dns()

        eventually(serve, f"{' '.join(names)} are ready, and in DNS", timeout_s)
        return time.monotonic() - began_s

    def versions(self) -> dict[str, str]:
        """The version that runs on each node."""
        return {name: each["version"] for name, each in self.status(self.nodes[0]).items()}

    def records(self, at: str) -> list[dict[str, Any]]:
        """All billing records, as a node finds them."""
        done = self.hosts.ssh(at, "sipfarm cdr list --all --json --timeout 20", check=False)
        found: list[dict[str, Any]] = []
        for page in _objects(done.stdout):
            assert page["silent"] == [], f"{page['silent']} did not answer"
            found += page["calls"]
        return found

    def check_records(self, *tallies: Tally) -> None:
        """Wait until each node has one complete record of every call, and none of another."""
        wrong: dict[str, list[str]] = {}

        def recorded(at: str) -> bool:
            try:
                wrong[at] = _wrong(self.records(at), tallies)
            except (HostsError, AssertionError) as error:
                wrong[at] = [str(error)]
            return not wrong[at]

        def wait(at: str) -> None:
            with contextlib.suppress(AssertionError):
                eventually(lambda: recorded(at), "", _RECORDED_WITHIN_S)

        self._at_each_node(wait)
        assert not any(wrong.values()), wrong

    def check_registered(self, users: Sequence[str]) -> None:
        """Each is found from each node."""

        def lost(at: str) -> list[str]:
            text = shlex.join([_NODES_PYTHON, "-", *users])
            return self.hosts.ssh(at, text, given=_LOCATE, timeout_s=120).stdout.split()

        assert self._at_each_node(lost) == {name: [] for name in self.nodes}

    def _at_each_node(self, ask: Callable[[str], T]) -> dict[str, T]:
        """What each says, asked all at once."""
        with ThreadPoolExecutor() as pool:
            return dict(zip(self.nodes, pool.map(ask, self.nodes), strict=True))

    def check_all(self) -> None:
        """Every record of every load, and every registration, is there."""
        self.check_registered(KEPT)
        self.check_records(*self.tallies)


def _wrong(records: list[dict[str, Any]], tallies: Sequence[Tally]) -> list[str]:
    """What records of these loads' calls are not as they must be."""
    wrong = []
    for tally in tallies:
        placed = tally.asked["INVITE"]
        expected = {f"{tally.prefix}-{number}" for number in range(1, placed + 1)}
        found = [each for each in records if each["call_id"].startswith(tally.prefix)]
        ids = [each["call_id"] for each in found]
        states = Counter(str(each["state"]) for each in found)
        if len(ids) != placed or set(ids) != expected or set(states) != {"complete"}:
            wrong.append(f"{len(ids)} records of {placed} calls: {dict(states)}")
    return wrong


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()
