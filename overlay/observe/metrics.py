"""The daemon's figures for Prometheus: those counted as things happen, and the registry of all.

In: calls for things that happen, and the figures that parts declare (`part.py`). Out: a registry.
Counterparts: `metrics_http.py` serves it; `overlay.kamailio.figures` adds Kamailio's figures. No
label names a subscriber or a call, as the number of series must not grow with either.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from overlay.base import limit_hits, limits
from overlay.observe.figures import Sample
from overlay.observe.metric_families import Family, Kind, Label, Unit
from overlay.observe.part import Part
from overlay.observe.tallies import Durations, Tally

ANSWERED: Final = "answered"
_REFUSALS: Final = (
    "bad-request",
    "busy",
    "forged",
    "internal",
    "not-found",
    "outdated",
    "storage",
    "too-large",
    "unavailable",
)
REQUESTS_MAX: Final = 64
"""The largest number of kinds of requests in one protocol."""
_REQUEST: Final = Label(name="request", text="the kind of the question", values_max=REQUESTS_MAX)
CONTROL_REQUESTS: Final = Family(
    name="sipfarm_control_requests_total",
    kind=Kind.COUNTER,
    text="Requests on the control socket, by what was asked and how it was answered",
    labels=(
        _REQUEST,
        Label(
            name="outcome",
            text=f"`{ANSWERED}`, or why the request was refused",
            values=(ANSWERED, *_REFUSALS),
        ),
    ),
)
CONTROL_SECONDS: Final = Family(
    name="sipfarm_control_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    text="Time from a request on the control socket to its answer",
    unit=Unit.SECONDS,
    labels=(_REQUEST,),
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512),
)
CONTROL_FRAMES_REFUSED: Final = Family(
    name="sipfarm_control_frames_refused_total",
    kind=Kind.COUNTER,
    text="Control connections closed because of what was sent",
)
EVENT_KINDS: Final = ("START", "INTERIM", "STOP", "ATTEMPT", "EXPORTED", "CLOSED", "CHAINED")
CALL_EVENTS: Final = Family(
    name="sipfarm_call_events_total",
    kind=Kind.COUNTER,
    text="Call events written through this node, by kind and by how safe they are",
    labels=(
        Label(name="kind", text="what happened", values=EVENT_KINDS),
        Label(
            name="level",
            text="`quorum`: on W disks; `journal`: on this node's alone; `refused`: on none",
            values=("quorum", "journal", "refused"),
        ),
    ),
)
PEER_REQUESTS: Final = Family(
    name="sipfarm_peer_requests_total",
    kind=Kind.COUNTER,
    text="Requests of other nodes, by what was asked",
    labels=(_REQUEST,),
)
LIMIT_HITS: Final = Family(
    name="sipfarm_limit_hits_total",
    kind=Kind.COUNTER,
    text="How often a bound was hit",
    labels=(
        Label(
            name="limit",
            text="the bound's name in [configuration.md](configuration.md#limits), in lower case "
            "and without `_MAX`",
            values=tuple(
                name.removesuffix("_MAX").lower()
                for name in vars(limits)
                if name.isupper() and "_MAX" in name
            ),
        ),
    ),
)
INFO: Final = Family(
    name="sipfarm_info",
    kind=Kind.INFO,
    text="Which node this is, and which version of sipfarm it runs",
    labels=tuple(
        Label(name=name, text=text, values_max=1)
        for name, text in {
            "farm_name": "the SIP domain",
            "node_name": "the node's name in the farm",
            "zone_name": "what fails together with this node; empty if that is not configured",
            "version": "the version that runs",
        }.items()
    ),
)
FAMILIES: Final = (
    CONTROL_REQUESTS,
    CONTROL_SECONDS,
    CONTROL_FRAMES_REFUSED,
    CALL_EVENTS,
    PEER_REQUESTS,
    LIMIT_HITS,
    INFO,
)


class _Readings(Collector):
    """Figures that are read when Prometheus asks."""

    def __init__(self, family: Family, read: Callable[[], Iterable[Sample]]) -> None:
        self._family, self._read = family, read

    def collect(self) -> Iterator[Metric]:
        """The figures, for the registry."""
        shown = self._family.numbers()
        for values, figure in self._read():
            shown.add_metric(values, figure)
        yield shown


class _Info(Collector):
    def __init__(self, family: Family, values: dict[str, str]) -> None:
        self._family, self._values = family, values

    def collect(self) -> Iterator[Metric]:
        shown = self._family.info()
        shown.add_metric((), self._values)
        yield shown


class Metrics:
    """All series of one daemon."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._shown: set[str] = set()
        self.requests = Tally(CONTROL_REQUESTS)
        self.request_seconds = Durations(CONTROL_SECONDS)
        self.frames_refused = Tally(CONTROL_FRAMES_REFUSED)
        self.events = Tally(CALL_EVENTS)
        self.peer_requests = Tally(PEER_REQUESTS)
        for counted in (
            self.requests,
            self.request_seconds,
            self.frames_refused,
            self.events,
            self.peer_requests,
        ):
            self.registry.register(counted)
        self._read(LIMIT_HITS, _limit_hits)
        ProcessCollector(registry=self.registry)

    def answered(self, request: str, outcome: str, seconds: float) -> None:
        """Count an answer on the control socket."""
        self.requests.inc(request, outcome)
        self.request_seconds.observe(request, seconds)

    def describe(self, *, farm: str, node: str, zone: str, version: str) -> None:
        """Say which node this is. To be called once."""
        values = {"farm_name": farm, "node_name": node, "zone_name": zone, "version": version}
        self.registry.register(_Info(INFO, values))

    def show(self, part: Part) -> None:
        """Show the figures of a part; raises `ValueError` for a figure that another part shows."""
        for figure in part.FIGURES:
            if figure.family.name in self._shown:
                raise ValueError(f"two parts show {figure.family.name}")
            self._shown.add(figure.family.name)
            self._read(figure.family, partial(figure.read, part))

    def _read(self, family: Family, read: Callable[[], Iterable[Sample]]) -> None:
        self.registry.register(_Readings(family, read))


def _limit_hits() -> Iterator[Sample]:
    counts = dict.fromkeys(LIMIT_HITS.labels[0].values, 0)
    for limit, count in limit_hits.counted().items():
        counts[limit.removesuffix("_MAX").lower()] = count
    for name, count in counts.items():
        yield (name,), count
