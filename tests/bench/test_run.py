"""The benchmarks can be run: they measure everything, and programs can read what they print.

This smoke test does not judge whether goals are reached. It does fail when a ratio is far worse
than it was.
"""

import json
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run")
NAMES = ["P1", "P2", "P3"]
FIGURES = [
    *("P4 hot p50", "P4 hot p50, from Redis", "P4 cold p50", "P4 cold p99"),
    *("P5 p50 at a tenth", "P5 p99 at a tenth", "P5 capacity"),
    *("P6 memory of a binding", "P6 restart"),
    *("DNS answers", "DNS cold lookup p99 at 5000 queries/s"),
]


def quick(results: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    """A run that only sees whether it can be measured."""
    options = ["--quick", "--json", "--results", str(results)]
    return subprocess.run([str(RUN), *names, *options], capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_quick_run_compares(tmp_path: Path) -> None:
    done = quick(tmp_path, *NAMES, "--guard")
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


@pytest.mark.timeout(600)
def test_quick_run_overloads(tmp_path: Path) -> None:
    done = quick(tmp_path, "R5")
    assert done.returncode == 0, done.stderr
    twice, fivefold, served, last = [json.loads(line) for line in done.stdout.splitlines()]
    for goodput in (twice, fivefold):
        assert goodput["value"] > 20, "a farm that serves nobody under overload has collapsed"
    assert served["value"] == 100.0
    assert 0 < last["value"] < 120


@pytest.mark.timeout(600)
def test_quick_run_measures(tmp_path: Path) -> None:
    done = quick(tmp_path, "P4", "P5", "P6", "DNS")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["name"] for result in results] == FIGURES
    for result in results:
        assert result["value"] > 0
        low = result["better"] == "lower"
        reached = result["value"] <= result["goal"] if low else result["value"] >= result["goal"]
        assert result["holds"] is reached
        assert len(result["rounds"]) >= 2
        with_peers = result["name"].startswith(("P5", "P4 cold"))
        assert set(result["peers"]) == ({"opendht", "kademlia"} if with_peers else set())
    table = (tmp_path / "results.md").read_text()
    assert all(f"| {name} |" in table for name in FIGURES)
    assert (tmp_path / "results.svg").read_text().count("<svg") == 1
    assert (tmp_path / "results.jsonl").read_text() == done.stdout


@pytest.mark.timeout(600)
def test_quick_run_scales(tmp_path: Path) -> None:
    done = quick(tmp_path, "SCALE")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    curves = [line["curve"] for line in lines if line["name"] == "SCALE"]
    assert len(curves) == 9
    for curve in curves:
        for line in curve["lines"]:
            assert len(line["x"]) == len(line["y"]) > 0
            assert all(value > 0 for value in line["y"])
    readings = [line for line in lines if line["name"] != "SCALE"]
    names = [reading["name"] for reading in readings]
    assert names == ["P3 with 6 nodes", "P3 growth from 3 to 6 nodes"]
    assert (tmp_path / "scale.svg").read_text().count("<svg") == 1
    assert all(f"| {name} |" in (tmp_path / "results.md").read_text() for name in names)


def test_unknown_benchmark_is_refused() -> None:
    done = subprocess.run([str(RUN), "P99"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "P99" in done.stderr
