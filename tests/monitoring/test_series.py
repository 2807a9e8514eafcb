"""The checks of `series.py` find the mistakes that they exist for."""

from overlay.observe.metric_families import Family, Kind, Label
from tests.monitoring.series import History, shown, undeclared

CALLS = Family(name="calls_total", kind=Kind.COUNTER, text="Calls")
PHONES = Family(
    name="phones",
    kind=Kind.GAUGE,
    text="Phones",
    labels=(Label(name="state", text="theirs", values=("on", "off")),),
)
DECLARED = {each.name: each for each in (CALLS, PHONES)}


def said(calls: float, on: float, **changed: str) -> str:
    """An exposition, with some of its lines changed."""
    lines = {
        "help": "# HELP calls_total Calls",
        "type": "# TYPE calls_total counter",
        "figure": f"calls_total {calls}",
        "phones_help": "# HELP phones Phones",
        "phones_type": "# TYPE phones gauge",
        "phones": f'phones{{state="on"}} {on}',
        **changed,
    }
    return "\n".join(lines.values()) + "\n"


def history(*figures: tuple[float, float]) -> History:
    known = History(DECLARED)
    for calls, on in figures:
        known.add(shown(said(calls, on)))
    return known


def test_what_behaves_is_not_complained_about() -> None:
    known = history(*((number, number % 3) for number in range(20)))
    assert known.misbehaving() == []
    assert known.risen() == {"calls_total", "phones"}
    assert undeclared(shown(said(1, 1)), DECLARED) == []


def test_a_gauge_sold_as_a_counter_is_caught() -> None:
    assert history((1, 1), (3, 1), (2, 1)).misbehaving() == [
        "calls_total{} is no counter: 3, then 2"
    ]


def test_a_counter_sold_as_a_gauge_is_caught() -> None:
    known = history(*((1, number) for number in range(20)))
    assert known.misbehaving() == ["phones{'state': 'on'} is no gauge: 0, then 19"]


def test_what_is_shown_otherwise_than_declared_is_caught() -> None:
    def problems(**changed: str) -> list[str]:
        return undeclared(shown(said(1, 1, **changed)), DECLARED)

    assert problems(more="# TYPE more gauge\nmore 1") == ["more is not declared"]
    assert "calls_total is not shown" in problems(help="", type="", figure="")
    assert problems(phones_type="# TYPE phones counter", phones='phones_total{state="on"} 1')
    assert problems(phones_help="# HELP phones Telephones") == ["phones has another text"]
    assert problems(phones='phones{state="away"} 1') == [
        'phones has state="away", which is not declared'
    ]
    assert "phones has labels of a target: {'node'}" in problems(
        phones='phones{state="on",node="n1"} 1'
    )
