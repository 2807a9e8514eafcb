"""The daemon's figures for Prometheus.

In: what happens, and the figures that parts declare (`figures.py`). Out: a registry. Counterpart:
`metrics_http.py` serves it. No label names a subscriber or a call: the number of series must not
grow with either.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from overlay.base import limit_hits
from overlay.observe.figures import Figure
from overlay.observe.tallies import Durations, Tally

WRITE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512)


class _Readings(Collector):
    """A part's figure."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure

    def collect(self) -> Iterator[Metric]:
        figure = self._figure
        family = CounterMetricFamily if figure.is_total else GaugeMetricFamily
        shown = family(figure.name, figure.text, labels=figure.labels)
        for labels, number in figure.read():
            shown.add_metric(labels, float(number))
        yield shown


class _LimitHits(Collector):
    def collect(self) -> Iterator[CounterMetricFamily]:
        text = "How often a bound was hit, by its name in overlay/base/limits.py"
        family = CounterMetricFamily("sipfarm_limit_hit", text, labels=("limit",))
        for limit, count in limit_hits.counted().items():
            family.add_metric((limit.removesuffix("_MAX").lower(),), count)
        yield family


class Metrics:
    """All series of one daemon."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._shown: set[str] = set()
        self.requests = Tally(
            "sipfarm_control_requests",
            "Requests on the control socket, by what was asked and how it was answered",
            ("request", "outcome"),
        )
        self.request_seconds = Durations(
            "sipfarm_control_seconds",
            "Time from a request on the control socket to its answer",
            "request",
            WRITE_BUCKETS_S,
        )
        self.events = Tally(
            "sipfarm_call_events",
            "Call events written through this node, by kind and by how safe they are",
            ("kind", "level"),
        )
        self.peer_requests = Tally(
            "sipfarm_peer_requests",
            "Requests of other nodes, by what was asked",
            ("request",),
        )
        for tally in (self.requests, self.request_seconds, self.events, self.peer_requests):
            self.registry.register(tally)
        self.frames_refused = Counter(
            "sipfarm_control_refused_frames",
            "Control connections closed because of what was sent",
            registry=self.registry,
        )
        self.registry.register(_LimitHits())
        self._info = Info("sipfarm", "Which node this is", registry=self.registry)

    def answered(self, request: str, outcome: str, seconds: float) -> None:
        """Count an answer on the control socket."""
        self.requests.inc(request, outcome)
        self.request_seconds.observe(request, seconds)

    def describe(self, **labels: str) -> None:
        """Set the labels of `sipfarm_info`."""
        self._info.info(labels)

    def show(self, figures: Iterable[Figure]) -> None:
        """Show these figures of a part; raises `ValueError` for a name that is shown already."""
        for figure in figures:
            if figure.name in self._shown:
                raise ValueError(f"two parts show {figure.name}")
            self._shown.add(figure.name)
            self.registry.register(_Readings(figure))
