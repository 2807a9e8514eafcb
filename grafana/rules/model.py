"""A rule, and how Prometheus and Alertmanager read it.

In: nothing. Out: `Alert`, `Recorded`, groups as Prometheus' rule files have them. Counterparts:
`recording.py`, `pages.py` and `tickets.py` make them; `__main__.py` writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from grafana.slo import Levels

JOB: Final = 'job="sipfarm"'
"""Selects the nodes, as docs/operate.md has them scraped."""


class Severity(StrEnum):
    """Who is told."""

    PAGE = "page"
    """Somebody is woken: users notice, or soon will."""
    TICKET = "ticket"
    """Somebody looks at it in office hours."""
    NOTICE = "notice"
    """Nobody: it silences others."""


class Scope(StrEnum):
    """What an alert is about; what silences it follows from that."""

    FARM = "farm"
    NODE = "node"
    """One node. It says nothing new about a node that is known to be away."""
    RECORD = "record"
    """Something of one node that is to be looked at whether the node is there or not."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recording rule."""

    name: str
    expression: str
    labels: tuple[tuple[str, str], ...] = ()

    def shown(self) -> dict[str, Any]:
        """As a rule file has it."""
        rule: dict[str, Any] = {"record": self.name, "expr": self.expression}
        return {**rule, "labels": dict(self.labels)} if self.labels else rule


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert."""

    name: str
    severity: Severity
    scope: Scope
    expression: str
    late: str = ""
    """For how long it has to be so; empty: told at once."""
    summary: str
    """One line with the farm's name, and the node's where it is one node's."""
    seen_within: str = ""
    """Of an alert that pages: how soon it is told when all fails, `5m`."""
    slo: str = ""
    """The objective that it guards."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for an alert that cannot be told properly."""
        if not re.fullmatch(r"Sipfarm([A-Z][a-z]+)+", self.name):
            raise ValueError(f"{self.name} is no name for an alert")
        if (self.severity is Severity.PAGE) != bool(self.seen_within):
            raise ValueError(f"{self.name}: what pages says how soon, and nothing else does")

    def shown(self, levels: Levels) -> dict[str, Any]:
        """As a rule file has it."""
        labels = {"severity": self.severity.value, "scope": self.scope.value}
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expression}
        if self.late:
            rule["for"] = self.late
        rule["labels"] = {**labels, "slo": self.slo} if self.slo else labels
        rule["annotations"] = {
            "summary": self.summary,
            "runbook_url": f"{levels.runbooks}/{self.name}.md",
        }
        return rule


def group(name: str, levels: Levels, rules: Sequence[Recorded | Alert]) -> dict[str, Any]:
    """Rules that are evaluated one after the other."""
    shown = [rule.shown() if isinstance(rule, Recorded) else rule.shown(levels) for rule in rules]
    return {"name": name, "interval": levels.pace.evaluate, "rules": shown}
