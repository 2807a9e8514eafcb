"""Prometheus gets the project's own counters as it gets those of its client library."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from overlay.observe.metric_families import Family, Kind, Label, Unit
from overlay.observe.tallies import BEGUN_MAX, Durations, Tally

BUCKETS_S = (0.001, 0.01, 0.1)


def shown(registry: CollectorRegistry) -> list[str]:
    """What a scrape gives, but for when the series began."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))))
def test_a_tally_is_what_a_counter_is(counted: list[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally(
        Family(
            name="things_total",
            kind=Kind.COUNTER,
            text="Things",
            labels=(
                Label(name="kind", text="their kind", values_max=2),
                Label(name="level", text="their level", values_max=3),
            ),
        )
    )
    ours.register(tally)
    counter = Counter("things", "Things", ("kind", "level"), registry=theirs)
    for values in counted:
        tally.inc(*values)
        counter.labels(*values).inc()
    assert shown(ours) == shown(theirs)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from((0.0, 0.001, 0.0011, 0.01, 0.1, 0.5, 7.0)))
    )
)
def test_durations_are_what_a_histogram_is(taken: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    durations = Durations(
        Family(
            name="wait_seconds",
            kind=Kind.HISTOGRAM,
            text="Waits",
            unit=Unit.SECONDS,
            labels=(Label(name="what", text="what was waited for", values_max=2),),
            buckets=BUCKETS_S,
        )
    )
    ours.register(durations)
    histogram = Histogram("wait_seconds", "Waits", ("what",), buckets=BUCKETS_S, registry=theirs)
    for what, seconds in taken:
        durations.observe(what, seconds)
        histogram.labels(what).observe(seconds)
    assert shown(ours) == shown(theirs)


def test_a_counter_of_few_series_begins_with_all_of_them() -> None:
    def begun(*levels: str) -> list[str]:
        registry = CollectorRegistry()
        level = Label(name="level", text="their level", values=levels)
        registry.register(
            Tally(Family(name="things_total", kind=Kind.COUNTER, text="Things", labels=(level,)))
        )
        return [line for line in shown(registry) if not line.startswith("#")]

    assert begun("x", "y") == ['things_total{level="x"} 0.0', 'things_total{level="y"} 0.0']
    assert begun(*map(str, range(BEGUN_MAX + 1))) == []
