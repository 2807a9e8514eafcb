"""Alerts that page: what users notice now, or will notice with the next fault.

In: the levels. Out: alerts, each with the time within which it is told. Counterparts:
`docs/runbooks/`; `tests/monitoring/test_alerts.py` provokes each one.
"""

from collections.abc import Iterator
from typing import Final

from grafana.rules.model import JOB, Alert, Scope, Severity
from grafana.rules.recording import BAD_EVENTS, BAD_SHARE, DRAINING
from grafana.slo import Burn, Levels, Objective, Windows

BURNING: Final = {
    "calls": ("SipfarmCallsFailing", "new calls fail"),
    "registrations": ("SipfarmRegistrationsFailing", "phones cannot register"),
    "records": ("SipfarmRecordsUnsafe", "call events are on too few disks"),
    "reachable": ("SipfarmPhonesUnreachable", "phones are not reached"),
}
"""The alert's name and what it says, by objective. The ticket's name ends in `Slowly`."""


def alerts(levels: Levels) -> tuple[Alert, ...]:
    """All of them."""
    return (*_burning(levels), *_nodes(levels), _records_late(levels), _trunk_down(levels))


def burns(slo: str, objective: Objective, burn: Burn, kind: str) -> str:
    """What is so while what the target allows is spent too fast; `kind`: `fast` or `slow`."""
    windows: Windows = getattr(burn, kind)
    limit = f"{windows.rate:g} * {objective.allowed:g}"
    long, short = (f'{{slo="{slo}", window="{kind}_{length}"}}' for length in ("long", "short"))
    return (
        f"{BAD_SHARE}{long} > {limit}\n"
        f"and on (farm, slo)\n{BAD_SHARE}{short} > {limit}\n"
        f"and on (farm, slo)\n{BAD_EVENTS}{long} >= {objective.bad_min}"
    )


def _burning(levels: Levels) -> Iterator[Alert]:
    for slo, objective in levels.objective.items():
        name, says = BURNING[slo]
        yield Alert(
            name=name,
            severity=Severity.PAGE,
            scope=Scope.FARM,
            expression=burns(slo, objective, levels.burn, "fast"),
            summary=f"{{{{ $labels.farm }}}}: {says} ({{{{ $value | humanizePercentage }}}} bad)",
            seen_within="6m",
            slo=slo,
        )


def _nodes(levels: Levels) -> Iterator[Alert]:
    yield Alert(
        name="SipfarmFarmDown",
        severity=Severity.PAGE,
        scope=Scope.FARM,
        expression=f"max by (farm) (up{{{JOB}}}) == 0\nor\nabsent(up{{{JOB}}})",
        late=levels.late.farm_down,
        summary="{{ $labels.farm }}: no node answers, or Prometheus knows none",
        seen_within="3m",
    )
    yield Alert(
        name="SipfarmNodesDown",
        severity=Severity.PAGE,
        scope=Scope.FARM,
        expression=(
            f"count by (farm) (\n  up{{{JOB}}} == 0 unless on (farm, node) {DRAINING} == 1\n)"
            f" > {levels.limit.nodes_down_max}"
        ),
        late=levels.late.nodes_down,
        summary="{{ $labels.farm }}: {{ $value }} nodes are down at a time",
        seen_within="5m",
    )


def _records_late(levels: Levels) -> Alert:
    return Alert(
        name="SipfarmRecordsLate",
        severity=Severity.PAGE,
        scope=Scope.RECORD,
        expression="sipfarm_journal_depth > 0",
        late=levels.late.records,
        summary=(
            "{{ $labels.farm }}: {{ $labels.node }} has had call events for too long that "
            "too few disks took ({{ $value }} now)"
        ),
        seen_within="12m",
        slo="records",
    )


def _trunk_down(levels: Levels) -> Alert:
    return Alert(
        name="SipfarmTrunkDown",
        severity=Severity.PAGE,
        scope=Scope.FARM,
        expression="max by (farm, trunk) (sipfarm_gateway_up) == 0",
        late=levels.late.trunk_down,
        summary="{{ $labels.farm }}: no gateway of the trunk {{ $labels.trunk }} answers any node",
        seen_within="6m",
    )
