"""The zone, as a real PowerDNS serves it."""

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.dns import server
from overlay.dns.purging import Purging
from overlay.dns.zone import ZoneNode, ZoneView

DEADLINE_S = 20


class Farm:
    """A PowerDNS on a loopback port, answered from `view`."""

    def __init__(self, directory: Path, cache_ttl_s: int = 0) -> None:
        self._cache_ttl_s = cache_ttl_s
        self.view = ZoneView(
            farm="farm.test",
            nodes=(
                ZoneNode(name="n1", addresses=("192.0.2.1",)),
                ZoneNode(name="n2", addresses=("192.0.2.2", "2001:db8::2")),
            ),
        )
        self._socket = directory / "dns.sock"
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        assert self._started.wait(DEADLINE_S)
        self.port = _free_port()
        self._log = directory / "pdns.log"
        (directory / "pdns.conf").touch()
        self._process = self._launch(directory)
        self._wait()

    def dig(self, *question: str) -> tuple[str, list[str]]:
        """Status and answers, sorted; an answer is `TYPE content`."""
        command = ["dig", "@127.0.0.1", "-p", str(self.port), "+time=3", "+tries=2", "+noall"]
        shown = subprocess.run(
            [*command, "+comments", "+answer", *question],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        status = shown.partition("status: ")[2].partition(",")[0]
        answers = [line.split(None, 4) for line in shown.splitlines() if line[:1] not in (";", "")]
        return status, sorted(f"{kind} {content}" for _, _, _, kind, content in answers)

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(DEADLINE_S)
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)

    def _launch(self, directory: Path) -> "subprocess.Popen[bytes]":
        settings = {
            "config-dir": directory,
            "launch": "remote",
            "remote-connection-string": f"unix:path={self._socket},timeout=500",
            "local-address": "127.0.0.1",
            "local-port": self.port,
            "socket-dir": directory,
            "write-pid": "no",
            "daemon": "no",
            "guardian": "no",
            "disable-syslog": "yes",
            "disable-axfr": "yes",
            "cache-ttl": self._cache_ttl_s,
            "query-cache-ttl": 0,
            "negquery-cache-ttl": 0,
            "zone-cache-refresh-interval": 0,
            "security-poll-suffix": "",
        }
        command = ["pdns_server", *(f"--{name}={value}" for name, value in settings.items())]
        with self._log.open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve_until_stopped())

    async def _serve_until_stopped(self) -> None:
        self._stop = asyncio.Event()
        running = server.DnsServer(self._socket, lambda: self.view)
        await running.start()
        self._started.set()
        await self._stop.wait()
        await running.stop()

    def _wait(self) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            assert self._process.poll() is None, self._log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self._log.read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    directory = tmp_path_factory.mktemp("pdns")
    os.chmod(directory, 0o755)
    running = Farm(directory)
    yield running
    running.close()


def test_phones_find_the_nodes(farm: Farm) -> None:
    assert farm.dig("farm.test", "NAPTR") == (
        "NOERROR",
        [
            'NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.farm.test.',
            'NAPTR 10 20 "s" "SIP+D2T" "" _sip._tcp.farm.test.',
        ],
    )
    sip = ["SRV 10 100 5060 n1.farm.test.", "SRV 10 100 5060 n2.farm.test."]
    assert farm.dig("_sip._udp.farm.test", "SRV") == ("NOERROR", sip)
    assert farm.dig("_sip._tcp.FARM.test", "SRV", "+tcp") == ("NOERROR", sip)
    assert farm.dig("n2.farm.test", "AAAA") == ("NOERROR", ["AAAA 2001:db8::2"])


def test_the_zones_own_records(farm: Farm) -> None:
    servers = [f"NS ns{number}.farm.test." for number in (1, 2, 3)]
    assert farm.dig("farm.test", "NS") == ("NOERROR", servers)
    soa = "SOA ns1.farm.test. hostmaster.farm.test. 1 10800 3600 604800 60"
    assert farm.dig("farm.test", "SOA") == ("NOERROR", [soa])


def test_what_is_not_there(farm: Farm) -> None:
    assert farm.dig("none.farm.test", "A") == ("NXDOMAIN", [])
    assert farm.dig("n1.farm.test", "AAAA") == ("NOERROR", [])
    assert farm.dig("farm.test", "TXT") == ("NOERROR", [])
    assert farm.dig("_udp.farm.test", "A") == ("NOERROR", [])
    assert farm.dig("example.com", "A") == ("REFUSED", [])


def test_the_zone_is_not_given_away(farm: Farm) -> None:
    status, answers = farm.dig("farm.test", "AXFR", "+tcp")
    assert (status in ("NOTAUTH", "REFUSED"), answers) == (True, [])


def test_a_death_shows_in_the_next_answer(farm: Farm) -> None:
    before = farm.view
    assert farm.dig("farm.test", "A") == ("NOERROR", ["A 192.0.2.1", "A 192.0.2.2"])
    farm.view = ZoneView(farm="farm.test", nodes=before.nodes[1:])
    assert farm.dig("farm.test", "A") == ("NOERROR", ["A 192.0.2.2"])
    farm.view = ZoneView(farm="farm.test", nodes=())
    assert farm.dig("farm.test", "A") == ("NOERROR", ["A 192.0.2.2"])
    farm.view = before
    assert farm.dig("farm.test", "A") == ("NOERROR", ["A 192.0.2.1", "A 192.0.2.2"])


def test_hundreds_of_nodes_fit_an_answer(farm: Farm) -> None:
    before = farm.view
    nodes = (
        ZoneNode(name=f"m{number}", addresses=(f"198.51.{number // 250}.{number % 250}",))
        for number in range(400)
    )
    farm.view = ZoneView(farm="farm.test", nodes=tuple(nodes))
    status, answers = farm.dig("_sip._udp.farm.test", "SRV")
    farm.view = before
    assert (status, len(answers)) == ("NOERROR", 400)


def test_what_it_remembers_is_forgotten_when_the_zone_changes(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    farm = Farm(tmp_path, cache_ttl_s=60)

    async def story() -> None:
        purging = Purging(tmp_path / "pdns.controlsocket", "farm.test")
        await purging.start()
        both = ("NOERROR", ["A 192.0.2.1", "A 192.0.2.2"])
        assert await asyncio.to_thread(farm.dig, "farm.test", "A") == both
        farm.view = replace(farm.view, nodes=farm.view.nodes[:1])
        assert await asyncio.to_thread(farm.dig, "farm.test", "A") == both, "it remembers"
        purging.zone_changed()
        until_s = time.monotonic() + DEADLINE_S
        while await asyncio.to_thread(farm.dig, "farm.test", "A") == both:
            assert time.monotonic() < until_s
        assert purging.failed == ""
        await purging.stop()

    try:
        asyncio.run(story())
    finally:
        farm.close()


def test_one_that_is_away_has_nothing_to_forget(tmp_path: Path) -> None:
    async def story() -> None:
        purging = Purging(tmp_path / "pdns.controlsocket", "farm.test")
        await purging.start()
        purging.zone_changed()
        until_s = time.monotonic() + DEADLINE_S
        while not purging.failed:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.005)
        await purging.stop()

    asyncio.run(story())
