"""What grafana/rules generates: as committed, over metrics that exist, and alerts that fire when
they must and only then."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.docs.__main__ import ROOT
from deploy.docs.metrics import FAMILIES
from grafana import slo
from grafana.rules.__main__ import FILES, alerts
from grafana.rules.model import JOB, Alert, Severity
from grafana.rules.recording import ALL_EVENTS, BAD_EVENTS, BAD_SHARE, DRAINING, TARGET
from overlay.cli.main import VERBS, parser_of
from overlay.observe.metric_families import Kind
from tests.hosts.doc_commands import commands_of
from tests.monitoring.rule_cases import CASES

LEVELS = slo.read()
ALERTS = {alert.name: alert for alert in alerts(LEVELS)}
RULES = ROOT / "grafana/rules.yml"
RUNBOOKS = ROOT / "docs/runbooks"
HEADINGS = ("What it means", "What users notice", "Confirm", "What to do", "Escalate")
RECORDED = {ALL_EVENTS, BAD_EVENTS, BAD_SHARE, DRAINING, TARGET}
_METRIC = re.compile(r"\b(?:(?:sipfarm|kamailio|process)_\w+|\w+:\w+:\w+|up)\b")
_LABELS = re.compile(r"\{([^{}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')


def run(program: str, *arguments: str | Path) -> None:
    found = shutil.which(program)
    assert found, f"{program} is missing: run ./deploy/install tests"
    command = [found, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_committed_is_what_is_generated(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path](LEVELS), (
        "run .venv/bin/python -m grafana.rules"
    )


def test_prometheus_and_alertmanager_take_them() -> None:
    run("promtool", "check", "rules", RULES)
    run("amtool", "check-config", ROOT / "grafana/alertmanager.yml")


def test_rules_ask_for_nothing_that_no_node_shows() -> None:
    for name, expression in expressions():
        asked = _metrics_of(expression)
        assert asked, name
        assert [each for each in asked if not _is_known(each)] == [], name


def test_rules_select_labels_that_are_there() -> None:
    for name, expression in expressions():
        for metric, selector in re.findall(r"([a-z_:]+)\{([^{}]*)\}", expression):
            if metric not in FAMILIES:
                continue
            labels = {label.name: label for label in FAMILIES[metric].labels}
            for label, _, values in _MATCHER.findall(selector):
                if f'{label}="{values}"' == JOB:
                    continue
                assert label in labels, f"{name}: {metric} has no label {label}"
                unknown = set(values.split("|")) - set(labels[label].values)
                assert not labels[label].values or not unknown, f"{name}: {metric} {unknown}"


def test_only_counters_are_asked_for_their_increase() -> None:
    for name, expression in expressions():
        for metric in re.findall(r"(?:increase|rate)\((\w+)", expression):
            assert FAMILIES[metric].kind is Kind.COUNTER, f"{name}: {metric}"


def test_every_alert_has_figures_at_which_it_fires_and_at_which_not() -> None:
    for fires in (True, False):
        tried = {case.alert for case in CASES if bool(case.fires) is fires}
        assert tried == set(ALERTS), f"fires: {fires}"
    for case in CASES:
        for series in case.series:
            metric, _, labels = series.partition("{")
            assert _is_known(metric), series
            if metric in FAMILIES:
                given = {name for name, _, _ in _MATCHER.findall(labels)}
                assert given - {"farm", "job", "node"} == set(FAMILIES[metric].label_names), series


@pytest.mark.parametrize("step", sorted({case.step for case in CASES}))
def test_alerts_fire_when_they_must_and_only_then(step: str, tmp_path: Path) -> None:
    tests = [
        {
            "name": f"{case.alert}: {case.what}",
            "interval": step,
            "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})',
                    "eval_time": f"{case.end_min}m",
                    "exp_samples": [{"labels": "{}", "value": case.fires}] if case.fires else [],
                }
            ],
        }
        for case in CASES
        if case.step == step
    ]
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    suite = {
        "rule_files": [str(RULES)],
        "evaluation_interval": step,
        # Else promtool takes groups in any order, and alerts may see the figures of a step before.
        "group_eval_order": [group["name"] for group in groups],
        "tests": tests,
    }
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    run("promtool", "test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_every_alert_has_a_runbook_that_says_something(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    assert parts[0].startswith(f"# {alert.name}\n")
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert tuple(sections) == HEADINGS
    for heading, said in sections.items():
        assert len(said.split()) >= 5, f"{alert.name}: {heading}"
    if alert.seen_within:
        assert f"within {alert.seen_within}" in parts[0]


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_names_commands_and_metrics_that_are_there(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    commands = commands_of(text, name)
    assert any(command.text.startswith("sipfarm ") for command in commands) or len(commands) > 1
    units = {path.name for path in (ROOT / "deploy/systemd").glob("sipfarm*")}
    for command in commands:
        program, *arguments = shlex.split(command.text)
        if program == "sipfarm":
            parser_of(VERBS).parse_args(arguments)
        for unit in (each for each in arguments if re.fullmatch(r"sipfarm[\w.-]*", each)):
            assert {unit, f"{unit}.service"} & units or unit.startswith("sipfarm.farm."), unit
        for playbook in (each for each in arguments if each.startswith("sipfarm.farm.")):
            file = f"{playbook.rpartition('.')[2]}.yml"
            assert list((ROOT / "ansible").glob(f"**/playbooks/{file}")), playbook
    named = re.findall(r"\b(?:sipfarm|kamailio|process)_[a-z]\w+", text)
    assert [each for each in named if each not in FAMILIES] == []
    for page in re.findall(r"\]\(([^)]*)\)", text):
        assert (RUNBOOKS / page).exists(), page


def test_there_is_no_runbook_of_an_alert_that_is_not_there() -> None:
    assert {path.stem for path in RUNBOOKS.glob("Sipfarm*.md")} == set(ALERTS)


def test_what_pages_is_told_in_the_time_that_its_runbook_states() -> None:
    """Two evaluations, as alerts are made of recorded figures."""
    pace = LEVELS.pace
    parts = (pace.scrape, pace.evaluate, pace.evaluate, pace.group_wait)
    for alert in ALERTS.values():
        if alert.severity is Severity.PAGE:
            late_s = slo.seconds(alert.late) if alert.late else _burn_s(alert)
            needed_s = late_s + sum(map(slo.seconds, parts))
            assert needed_s <= slo.seconds(alert.seen_within), alert.name


def _burn_s(alert: Alert) -> float:
    """From when everything fails, at an even rate, until too large a share of the window has."""
    fast = LEVELS.burn.fast
    return slo.seconds(fast.long) * fast.rate * LEVELS.objective[alert.slo].allowed


def test_dashboards_and_alerts_of_another_pace_come_from_the_same_levels() -> None:
    faster = slo.sped_up(LEVELS, 60)
    assert faster.late.records == "10s"
    assert faster.burn.fast.long == "60s"
    assert faster.pace.scrape == "1s"
    assert faster.limit == LEVELS.limit
    assert [alert.name for alert in alerts(faster)] == list(ALERTS)


def _metrics_of(expression: str) -> list[str]:
    """Names, without those of labels."""
    plain = _LABELS.sub("", expression)
    plain = re.sub(r"\b(?:by|on|ignoring|group_left|group_right) ?\([^)]*\)", "", plain)
    plain = re.sub(r'"[^"]*"', "", plain)
    return _METRIC.findall(plain)


def _is_known(metric: str) -> bool:
    return metric in FAMILIES or metric in RECORDED or metric == "up"
