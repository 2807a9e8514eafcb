"""Pieces of PromQL that all boards use, and what Grafana puts in place of its variables.

In: names of metrics, labels. Out: expressions. Counterparts: `boards/`; `look` and the tests, which
ask Prometheus without a Grafana.
"""

import re
from collections.abc import Mapping
from typing import Final

FARM: Final = 'farm="$farm"'
"""Picks the series of a board that shows all nodes."""
NODES: Final = 'farm="$farm", node=~"$node"'
"""Picks those of the nodes that whoever looks has chosen."""
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def rate(metric: str, by: str = "", labels: str = "", where: str = NODES) -> str:
    """How often a counter was counted up a second, summed."""
    return f"{_sum(by)}(rate({metric}{{{_picked(where, labels)}}}[$__rate_interval]))"


def seen(metric: str, by: str, labels: str = "", where: str = NODES) -> str:
    """The same of each value of a label that was ever counted: of the many values of some labels a
    farm meets few."""
    counted = total(metric, by, labels, where)
    return f"{rate(metric, by, labels, where)} and ({counted} > 0)"


def total(metric: str, by: str = "", labels: str = "", where: str = NODES) -> str:
    """A gauge, summed."""
    return f"{_sum(by)}({metric}{{{_picked(where, labels)}}})"


def gauge(metric: str, labels: str = "", where: str = NODES) -> str:
    """A gauge of each node."""
    return f"{metric}{{{_picked(where, labels)}}}"


def least(metric: str, where: str = NODES) -> str:
    """A gauge of the node that has the least."""
    return f"min({metric}{{{where}}})"


def most(metric: str, where: str = NODES) -> str:
    """A gauge of the node that has the most."""
    return f"max({metric}{{{where}}})"


def quantile(share: float, metric: str, by: str, labels: str = "") -> str:
    """The time that so large a share of what a histogram saw took at most."""
    buckets = rate(f"{metric}_bucket", by=f"{by}, le" if by else "le", labels=labels)
    return f"histogram_quantile({share:g}, {buckets})"


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """What Grafana sends for an expression; raises `KeyError` for a variable of which it knows
    nothing."""
    return _VARIABLE.sub(lambda found: variables[found[1] or found[2]], text)


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"


def _picked(where: str, labels: str) -> str:
    return f"{where}, {labels}" if labels else where
