"""The guard names a figure that has become worse, and none that improved or was never recorded."""

from pathlib import Path

import pytest
from bench import guard
from bench.report import Machine, Result, SideResult

SIDE = SideResult(
    median_us=1.0, min_us=1.0, max_us=1.0, idle_us_per_s=0, programs_us={}, retransmissions=0
)
MACHINE = Machine(cpu="c", cores=2, memory_mib=1, kernel="k", load_average=0.0)


def result(name: str, value: float) -> Result:
    return Result(
        name=name,
        title="t",
        goal=1.0,
        value=value,
        value_min=value,
        value_max=value,
        unit="u",
        holds=False,
        ours=SIDE,
        peer=SIDE,
        rounds=(),
        work_per_round=1,
        rate=1.0,
        nodes=1,
        machine=MACHINE,
        versions={},
    )


RECORDED = guard.Recorded(date="2026-11-24", machine="m", margin=1.5, ratios={"P1": 2.0})


@pytest.mark.parametrize(("value", "worse"), [(1.0, 0), (2.0, 0), (3.0, 0), (3.01, 1)])
def test_a_ratio_may_be_worse_by_the_margin(value: float, worse: int) -> None:
    found = guard.complaints([result("P1", value)], RECORDED)
    assert len(found) == worse
    assert all("P1" in each and "2026-11-24" in each for each in found)


def test_what_was_never_recorded_has_no_bound() -> None:
    assert guard.complaints([result("P9", 99.0)], RECORDED) == []


def test_the_file_in_use_can_be_read_and_has_a_bound_for_every_comparison() -> None:
    in_use = guard.recorded()
    assert set(in_use.ratios) == {"P1", "P2", "P3"}
    assert 1.0 < in_use.margin < 2.0
    assert all(in_use.ratios.values())


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recorded.toml"
    path.write_text("margin = 'wide'")
    with pytest.raises(ValueError, match=r"margin|date"):
        guard.recorded(path)
