"""The farm publishes its records in zones of real name servers: BIND 9 and Knot."""

import asyncio
import base64
import random
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from overlay.base.errors import ConfigError, UnavailableError
from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.dns.publisher import Publisher
from overlay.dns.zone import ZoneNode, ZoneView
from tests.waiting import until

SECRET = base64.b64encode(bytes(range(32))).decode()
ZONE = """$ORIGIN example.test.
$TTL 300
@ SOA ns hostmaster 1 300 300 300 300
@ NS ns
ns A 192.0.2.253
www A 192.0.2.80
n9.farm A 192.0.2.99
"""
BIND = """
key "farm-update" {{ algorithm hmac-sha256; secret "{secret}"; }};
options {{
    directory "{directory}"; pid-file "{directory}/pid"; session-keyfile "{directory}/session";
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; managed-keys-directory "{directory}";
}};
controls {{ }};
zone "example.test" {{
    type primary; file "{directory}/example.test.zone";
    allow-update {{ key "farm-update"; }};
}};
"""
KNOT = """
server:
    rundir: "{directory}"
    listen: 127.0.0.1@{port}
database:
    storage: "{directory}"
key:
  - id: farm-update
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: updates
    key: farm-update
    action: update
  - id: reads
    key: farm-update
    action: query
zone:
  - domain: example.test
    storage: "{directory}"
    file: example.test.zone
    acl: [updates, reads]
"""


@dataclass(frozen=True, kw_only=True)
class NameServer:
    """A primary that takes updates of `example.test`."""

    port: int
    directory: Path
    process: subprocess.Popen[bytes]

    def dig(self, name: str, kind: str) -> set[str]:
        """The answers' contents."""
        command = ["dig", "@127.0.0.1", "-p", str(self.port), "+tcp", "+time=2", "+tries=1"]
        done = subprocess.run(
            [*command, "+short", name, kind], capture_output=True, text=True, check=False
        )
        return {line for line in done.stdout.splitlines() if not line.startswith(";")}

    def serial(self) -> str:
        """Of the zone."""
        (soa,) = self.dig("example.test", "SOA")
        return soa.split()[2]


def command_of(kind: str, directory: Path, port: int) -> list[str]:
    """Writes the server's files; what starts it in the foreground."""
    (directory / "example.test.zone").write_text(ZONE)
    template = BIND if kind == "bind" else KNOT
    file = directory / f"{kind}.conf"
    file.write_text(template.format(secret=SECRET, directory=directory, port=port))
    if kind == "bind":
        return ["named", "-c", str(file), "-f", "-g", "-n", "1"]
    return ["knotd", "-c", str(file)]


def started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """The process."""
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


@asynccontextmanager
async def name_server(kind: str, directory: Path) -> AsyncIterator[NameServer]:
    """The server, until the end of the block."""
    directory.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = command_of(kind, directory, port)
    process = started(command, directory / "log")
    server = NameServer(port=port, directory=directory, process=process)
    try:
        await until(
            lambda: server.dig("www.example.test", "A") == {"192.0.2.80"}, 20, f"{kind} answers"
        )
        yield server
    finally:
        process.terminate()
        process.wait(20)


def config_for(server: NameServer, **settings: object) -> Config:
    """A node's configuration that publishes there."""
    key = server.directory / "update.key"
    key.write_text(f"hmac-sha256:farm-update:{SECRET}\n")
    return configuration.parse(
        {
            "farm": {"name": "farm.example.test"},
            "node": {"name": "n1", "address": "192.0.2.1"},
            "dns_update": {
                "server": f"127.0.0.1:{server.port}",
                "zone": "example.test",
                "key_file": str(key),
                **settings,
            },
        },
        "test",
    )


class Farm:
    """What a publisher sees of it."""

    def __init__(self, *names: str) -> None:
        self.own_id = b"1"
        self.live = [b"1", b"2", b"3"]
        self.nodes = [
            ZoneNode(name=name, addresses=(f"192.0.2.{name[1:]}",), weight=int(name[1:]))
            for name in names
        ]

    def view(self) -> ZoneView:
        return ZoneView(farm="farm.example.test", nodes=tuple(self.nodes))

    def publisher(self, config: Config, own_id: bytes = b"1") -> Publisher:
        return Publisher(config, own_id, lambda: self.live, self.view, random.Random(1))


pytestmark = pytest.mark.parametrize("kind", ["bind", "knot"])


def run(kind: str, directory: Path, story: Callable[[NameServer], object]) -> None:
    """The story, on a server of its own."""

    async def told() -> None:
        async with name_server(kind, directory) as server:
            await story(server)  # type: ignore[misc]

    asyncio.run(told())


def test_the_farm_is_found_there(kind: str, tmp_path: Path) -> None:
    async def story(server: NameServer) -> None:
        farm = Farm("n1", "n2", "n3")
        publisher = farm.publisher(config_for(server))
        await publisher.publish()
        assert server.dig("farm.example.test", "A") == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
        assert server.dig("_sip._udp.farm.example.test", "SRV") == {
            f"10 {number} 5060 n{number}.farm.example.test." for number in (1, 2, 3)
        }
        assert len(server.dig("farm.example.test", "NAPTR")) >= 2
        assert server.dig("n2.farm.example.test", "A") == {"192.0.2.2"}

        # What is the operator's stays.
        assert server.dig("www.example.test", "A") == {"192.0.2.80"}
        assert server.dig("n9.farm.example.test", "A") == {"192.0.2.99"}

        # Nothing new: nothing is sent.
        serial = server.serial()
        await publisher.publish()
        assert (publisher.updates, server.serial()) == (1, serial)

        # A node died, another one left for good.
        farm.nodes = [farm.nodes[0], replace(farm.nodes[1], live=False)]
        await publisher.publish()
        assert server.dig("farm.example.test", "A") == {"192.0.2.1"}
        assert server.dig("n2.farm.example.test", "A") == {"192.0.2.2"}
        assert server.dig("n3.farm.example.test", "A") == set()

    run(kind, tmp_path, story)


def test_the_next_one_takes_over_and_cleans_up(kind: str, tmp_path: Path) -> None:
    async def story(server: NameServer) -> None:
        farm = Farm("n1", "n2", "n3")
        config = config_for(server)
        first, second = farm.publisher(config), farm.publisher(config, own_id=b"2")
        await first.publish()
        await second.publish()
        assert (second.publishing, second.updates) == (False, 0)

        farm.live = [b"2", b"3"]
        farm.nodes = farm.nodes[1:]
        await second.publish()
        assert second.publishing
        assert server.dig("farm.example.test", "A") == {"192.0.2.2", "192.0.2.3"}
        assert server.dig("n1.farm.example.test", "A") == set()

    run(kind, tmp_path, story)


def test_what_somebody_removed_comes_back(kind: str, tmp_path: Path) -> None:
    async def story(server: NameServer) -> None:
        farm = Farm("n1", "n2")
        publisher = farm.publisher(config_for(server))
        await publisher.publish()
        vandal = Farm("n1")
        await vandal.publisher(config_for(server)).publish()
        assert server.dig("farm.example.test", "A") == {"192.0.2.1"}
        await publisher.publish()
        assert server.dig("farm.example.test", "A") == {"192.0.2.1", "192.0.2.2"}
        assert server.dig("n2.farm.example.test", "A") == {"192.0.2.2"}

    run(kind, tmp_path, story)


def test_refusals_say_what_to_mend(kind: str, tmp_path: Path) -> None:
    async def story(server: NameServer) -> None:
        farm = Farm("n1")
        config = config_for(server)
        key = Path(config.dns_update.key_file)
        key.write_text(f"hmac-sha256:farm-update:{base64.b64encode(bytes(32)).decode()}\n")
        with pytest.raises(UnavailableError, match=str(server.port)):
            await farm.publisher(config).publish()
        key.unlink()
        with pytest.raises(ConfigError, match="No such file"):
            await farm.publisher(config).publish()

    run(kind, tmp_path, story)


def test_a_server_that_comes_back_is_told(kind: str, tmp_path: Path) -> None:
    async def story(server: NameServer) -> None:
        farm = Farm("n1", "n2")
        config = config_for(server, check_s=1)
        server.process.terminate()
        server.process.wait(20)
        publisher = farm.publisher(config)
        await publisher.start()
        try:
            await until(lambda: publisher.failures > 0, 10, "a failure is counted")
            assert publisher.last_error
            command = command_of(kind, server.directory, server.port)
            again = started(command, server.directory / "log")
            try:
                await until(
                    lambda: server.dig("farm.example.test", "A") == {"192.0.2.1", "192.0.2.2"},
                    30,
                    "it is published",
                )
                farm.nodes.append(ZoneNode(name="n3", addresses=("192.0.2.3",)))
                publisher.farm_changed()
                await until(
                    lambda: "192.0.2.3" in server.dig("farm.example.test", "A"), 10, "n3 is there"
                )
                assert publisher.last_error == ""
            finally:
                again.terminate()
                again.wait(20)
        finally:
            await publisher.stop()

    run(kind, tmp_path, story)
