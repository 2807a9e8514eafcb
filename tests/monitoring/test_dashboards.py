"""Every query of every dashboard is answered by a Prometheus that looks at a real farm."""

from pathlib import Path

import pytest

from grafana.asking import answers, choices
from tests.farm.asking import eventually
from tests.monitoring.looked_at import dashboards, farm_with_a_fault, span_of

INTERVAL_S = 1
BEFORE_S = 15.0
AFTER_S = 5.0


def test_every_query_has_data(no_lab: None, tmp_path: Path) -> None:
    missing: list[str] = []
    with farm_with_a_fault(
        tmp_path, interval_s=INTERVAL_S, before_s=BEFORE_S, after_s=AFTER_S
    ) as prometheus:

        def all_there() -> bool:
            missing.clear()
            for uid, dashboard in dashboards().items():
                span = span_of(BEFORE_S + AFTER_S, INTERVAL_S)
                for answer in answers(dashboard, prometheus, span):
                    if not answer.has_data:
                        missing.append(f"{uid}: {answer.panel}: {answer.expression}")
            return not missing

        try:
            eventually(all_there, "every query has data")
        except AssertionError:
            pytest.fail("without data:\n" + "\n".join(missing))
        for uid, dashboard in dashboards().items():
            for name, value in choices(dashboard, prometheus, {}).items():
                assert value, f"{uid}: nothing to choose for {name}"
