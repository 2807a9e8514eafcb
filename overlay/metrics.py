"""The daemon's figures for Prometheus.

In: what happens. Out: a registry. Counterpart: `metrics_http.py` serves it. No label names a
subscriber or a call: the number of series must not grow with either.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from overlay import limit_hits

WRITE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512)


class _Total(Collector):
    def __init__(self, name: str, text: str, value: Callable[[], float]) -> None:
        self._name, self._text, self._value = name, text, value

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, value=self._value())


class _LimitHits(Collector):
    def collect(self) -> Iterator[CounterMetricFamily]:
        text = "How often a bound was hit, by its name in overlay/limits.py"
        family = CounterMetricFamily("sipfarm_limit_hit", text, labels=("limit",))
        for limit, count in limit_hits.counted().items():
            family.add_metric((limit.removesuffix("_MAX").lower(),), count)
        yield family


class Metrics:
    """All series of one daemon."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sipfarm_control_requests",
            "Requests on the control socket, by what was asked and how it was answered",
            ("request", "outcome"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "sipfarm_control_seconds",
            "Time from a request on the control socket to its answer",
            ("request",),
            buckets=WRITE_BUCKETS_S,
            registry=self.registry,
        )
        self.events = Counter(
            "sipfarm_call_events",
            "Call events written through this node, by kind and by how safe they are",
            ("kind", "level"),
            registry=self.registry,
        )
        self.peer_requests = Counter(
            "sipfarm_peer_requests",
            "Requests of other nodes, by what was asked",
            ("request",),
            registry=self.registry,
        )
        self.frames_refused = Counter(
            "sipfarm_control_refused_frames",
            "Control connections closed because of what was sent",
            registry=self.registry,
        )
        self.registry.register(_LimitHits())
        self._answered: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._asked: dict[str, Counter] = {}
        self._info = Info("sipfarm", "Which node this is", registry=self.registry)

    def answered(self, request: str, outcome: str, seconds: float) -> None:
        """Count an answer on the control socket; looking a series up costs more than counting."""
        series = self._answered.get((request, outcome))
        if series is None:
            series = (
                self.requests.labels(request, outcome),
                self.request_seconds.labels(request),
            )
            self._answered[request, outcome] = series
        series[0].inc()
        series[1].observe(seconds)

    def peer_asked(self, request: str) -> None:
        """Count a request of another node."""
        series = self._asked.get(request)
        if series is None:
            series = self._asked[request] = self.peer_requests.labels(request)
        series.inc()

    def describe(self, **labels: str) -> None:
        """Set the labels of `sipfarm_info`."""
        self._info.info(labels)

    def gauge(self, name: str, text: str, value: Callable[[], float], **labels: str) -> None:
        """A figure that is read when Prometheus asks."""
        gauge = Gauge(name, text, tuple(labels), registry=self.registry)
        (gauge.labels(**labels) if labels else gauge).set_function(value)

    def total(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A sum that its owner counts, read when Prometheus asks."""
        self.registry.register(_Total(name, text, value))

    def gauges(self, name: str, text: str, label: str) -> Gauge:
        """A figure by one label, set by its owner."""
        return Gauge(name, text, (label,), registry=self.registry)
