"""The benchmarks can be run: everything is measured, and what is printed can be read by programs.

Whether goals are reached is not for a smoke test to say.
"""

import json
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run")
NAMES = ["P1", "P2", "P3"]
FIGURES = [
    *("P4 hot p50", "P4 cold p50", "P4 cold p99"),
    *("P5 p50 at a tenth", "P5 p99 at a tenth", "P5 capacity"),
]


@pytest.mark.timeout(240)
def test_quick_run_measures_all() -> None:
    done = subprocess.run(
        [str(RUN), *NAMES, "--quick", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["name"] for result in results] == NAMES
    for result in results:
        assert result["value"] > 0
        assert result["goal"] > 0
        assert result["holds"] is (result["value"] <= result["goal"])
        assert len(result["rounds"]) == 2
        for side in ("ours", "peer"):
            assert result[side]["median_us"] > 0
        assert result["machine"]["cores"] >= 1
        assert all(result["versions"].values())


@pytest.mark.timeout(240)
def test_quick_run_measures_latencies() -> None:
    done = subprocess.run(
        [str(RUN), "P4", "P5", "--quick", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["name"] for result in results] == FIGURES
    for result in results:
        assert result["value"] > 0
        low = result["better"] == "lower"
        reached = result["value"] <= result["goal"] if low else result["value"] >= result["goal"]
        assert result["holds"] is reached
        assert len(result["rounds"]) == 2


def test_unknown_benchmark_is_refused() -> None:
    done = subprocess.run([str(RUN), "P99"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "P99" in done.stderr
