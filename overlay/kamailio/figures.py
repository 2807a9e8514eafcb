"""Kamailio's own figures, shown among the daemon's, so that a node has one address to scrape.

In: answers of Kamailio's JSON-RPC datagram socket (module jsonrpcs, `stats.get_statistics`). Out:
the families of `statistics.py`, and whether Kamailio tells them. Counterparts:
`overlay.observe.metrics_http` has them refreshed; Kamailio's `kamailio.sock`. A Kamailio that is
away, or answers nonsense, is no figures.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from overlay.base import decoding
from overlay.base.limits import KAMAILIO_ANSWER_BYTES_MAX, KAMAILIO_FIGURES_MAX
from overlay.kamailio.statistics import LEFT_OUT, TABLE
from overlay.observe.metric_families import Family, Kind

TIMEOUT_S: Final = 0.5
SHED: Final = "sipfarm:shed"
"""The proxy's counter `proxy.counters.SHED`."""
AGE_S_MAX: Final = 1.0
"""How long figures are shown again without asking."""

UP: Final = Family(
    name="sipfarm_kamailio_up", kind=Kind.GAUGE, text="Whether Kamailio tells its statistics"
)
UNKNOWN: Final = Family(
    name="sipfarm_kamailio_unknown_statistics",
    kind=Kind.GAUGE,
    text="Statistics of Kamailio that are not shown, as nobody said whether they are counters",
)
FAMILIES: Final = (UP, UNKNOWN)

_RECEIVED: Final = ("rcv_requests", "rcv_replies")
_STATISTIC: Final = re.compile(r"([\w.-]{1,64}:[\w.-]{1,128}) ?= ?(-?\d{1,20})", re.ASCII)


class _Answer(msgspec.Struct):
    id: int
    result: list[str]


_decode_answer = decoding.json(_Answer)


class KamailioFigures(Collector):
    """What Kamailio last said of itself."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """`path` is Kamailio's datagram socket; `now_s` a clock that never goes back, in s."""
        self._path = path
        self._now_s = now_s
        self._refreshed_s = float("-inf")
        self._lock = asyncio.Lock()
        self._last_id = 0
        self._figures: dict[str, int] | None = None

    def collect(self) -> Iterator[Metric]:
        """The figures of the last refresh."""
        figures = self._figures or {}
        up, unknown = UP.gauge(), UNKNOWN.gauge()
        up.add_metric((), self._figures is not None)
        unknown.add_metric((), sum(1 for _ in unlisted(figures)))
        yield up
        yield unknown
        shown: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for statistic, value in figures.items():
            entry = TABLE.get(statistic)
            if entry is None:
                continue
            if entry.family.name not in shown:
                shown[entry.family.name] = entry.family.numbers()
            shown[entry.family.name].add_metric(entry.values, value)
        yield from shown.values()

    async def refresh(self) -> None:
        """Ask Kamailio, unless that was done just now; never raises for what Kamailio does."""
        async with self._lock:
            if self._now_s() - self._refreshed_s < AGE_S_MAX:
                return
            self._last_id += 1
            try:
                self._figures = parse(await _ask(self._path, self._last_id), self._last_id)
            except (OSError, TimeoutError, msgspec.MsgspecError):
                self._figures = None
            self._refreshed_s = self._now_s()

    async def shed(self) -> int:
        """How many requests Kamailio has refused since its start as it was behind with its work;
        0 if it does not say."""
        await self.refresh()
        return (self._figures or {}).get(SHED, 0)


def parse(answer: bytes, request_id: int) -> dict[str, int]:
    """Statistics (`group:name`) and values of an answer; raises `msgspec.MsgspecError` if it is not
    one."""
    decoded = _decode_answer(answer)
    if decoded.id != request_id:
        raise msgspec.ValidationError("an answer to another question")
    figures: dict[str, int] = {}
    for line in decoded.result[:KAMAILIO_FIGURES_MAX]:
        if found := _STATISTIC.fullmatch(line):
            figures.setdefault(found[1], int(found[2]))
    return figures


def unlisted(statistics: Iterable[str]) -> Iterator[str]:
    """Those of which the table says nothing."""
    return (each for each in statistics if each not in TABLE and not each.startswith(LEFT_OUT))


async def received(path: Path) -> int:
    """How many messages Kamailio's workers have taken in since its start; raises `OSError`,
    `TimeoutError` or `msgspec.MsgspecError` if it does not say."""
    return sum(parse(await _ask(path, 1, _RECEIVED), 1).values())


async def _ask(path: Path, request_id: int, which: Sequence[str] = ("all",)) -> bytes:
    request = {
        "jsonrpc": "2.0",
        "method": "stats.get_statistics",
        "params": which,
        "id": request_id,
    }
    loop = asyncio.get_running_loop()
    # uvloop has no Unix datagram endpoints; watching the descriptor works on every loop.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        # An unnamed address of the kernel's choice, so that Kamailio's user may answer to it.
        asking.bind("")
        asking.connect(str(path))
        asking.send(msgspec.json.encode(request))
        readable = asyncio.Event()
        loop.add_reader(asking, readable.set)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await readable.wait()
            return asking.recv(KAMAILIO_ANSWER_BYTES_MAX)
        finally:
            loop.remove_reader(asking)
