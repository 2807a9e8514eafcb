"""Names of metrics keep to Prometheus' rules, and all declared metrics are shown."""

from typing import Any

import pytest

from deploy.docs.metrics import FAMILIES
from overlay.base import limits
from overlay.control import control_codec
from overlay.kamailio import figures, statistics
from overlay.links import peer_codec
from overlay.observe import metrics
from overlay.observe.figures import total
from overlay.observe.metric_families import TARGET_LABELS, Family, Kind, Label, Unit
from overlay.observe.metrics import LIMIT_HITS, Metrics
from overlay.observe.part import Part
from overlay.records.call import EventKind
from proxy.counters import COUNTERS


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "sipfarm_things"},
        {"name": "sipfarm_things_total", "kind": Kind.GAUGE},
        {"name": "sipfarmThings_total"},
        {"name": "sipfarm__things_total"},
        {"name": "sipfarm_wait_seconds_total"},
        {"name": "sipfarm_waits_total", "unit": Unit.SECONDS},
        {"name": "sipfarm_seconds_waits_total", "unit": Unit.SECONDS},
        {"text": ""},
        {"text": "Things."},
        {"buckets": (1.0,)},
        {"name": "sipfarm_wait_seconds", "kind": Kind.HISTOGRAM, "unit": Unit.SECONDS},
    ],
)
def test_a_family_that_breaks_the_rules_cannot_be_declared(wrong: dict[str, Any]) -> None:
    right = {"name": "sipfarm_things_total", "kind": Kind.COUNTER, "text": "Things"}
    Family(**right)
    with pytest.raises(ValueError, match="sipfarm"):
        Family(**{**right, **wrong})


@pytest.mark.parametrize("name", [*TARGET_LABELS, "le", "quantile", "Kind", "__name__"])
def test_a_label_that_clashes_with_prometheus_own_cannot_be_declared(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Label(name=name, text="their kind", values_max=2)


def test_a_label_without_a_bound_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="no bound"):
        Label(name="kind", text="their kind")


def test_what_the_registry_counts_itself_has_one_declaration() -> None:
    shown = Metrics()
    shown.describe(farm="farm.test", node="n1", zone="", version="1")
    named = {name_of(metric) for metric in shown.registry.collect()}
    assert len(named) > 5
    assert named < set(FAMILIES)
    others = [*statistics.FAMILIES, *figures.FAMILIES]
    assert {each.name for each in others} < set(FAMILIES)


def test_two_parts_cannot_show_the_same() -> None:
    class Counting(Part):
        FIGURES = (total("sipfarm_counted_total", "What it counted", lambda part: 1),)

    shown = Metrics()
    shown.show(Counting())
    with pytest.raises(ValueError, match="two parts show sipfarm_counted_total"):
        shown.show(Counting())


def test_the_table_names_what_the_routes_count() -> None:
    assert sorted(statistics.ROUTES) == sorted(COUNTERS)


def test_no_statistic_of_kamailio_becomes_the_same_series_as_another() -> None:
    series = [(each.family.name, each.values) for each in statistics.TABLE.values()]
    assert len(series) == len(set(series))
    for statistic, shown in statistics.TABLE.items():
        for label, value in zip(shown.family.labels, shown.values, strict=True):
            assert value in label.values, statistic


def test_the_values_of_labels_are_those_that_are_counted() -> None:
    """The declarations are below the protocols, and cannot derive from them."""
    assert tuple(kind.name for kind in EventKind) == metrics.EVENT_KINDS
    for questions in (control_codec.REQUESTS, peer_codec.REQUESTS):
        assert len(questions) <= metrics.REQUESTS_MAX


def test_each_limit_that_may_be_hit_is_a_value_of_its_label() -> None:
    names = {name.removesuffix("_MAX").lower() for name in vars(limits) if name.endswith("_MAX")}
    assert names <= set(LIMIT_HITS.labels[0].values)


def name_of(metric: Any) -> str:
    """As in the exposition."""
    suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    return f"{metric.name}{suffix}"
