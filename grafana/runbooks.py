"""Where the page about an alert is.

In: an alert's name. Out: its URL. Counterparts: docs/runbooks; `slo.toml`, which says where they
are published; `building.py` links panels to them.
"""

from typing import Final

from grafana import slo
from grafana.paths import RUNBOOKS

_PROJECT: Final = "https://example.net/sipfarm"
"""Of which `slo.toml` may name a path."""


def runbook_url(alert: str) -> str:
    """The page about an alert; empty if there is none."""
    if not (RUNBOOKS / f"{alert}.md").exists():
        return ""
    pages = slo.read().runbooks
    return f"{pages if '://' in pages else f'{_PROJECT}/{pages}'}/{alert}.md"
