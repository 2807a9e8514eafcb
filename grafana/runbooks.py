"""Where the page about an alert is.

In: an alert's name. Out: its URL. Counterparts: docs/runbooks; `building.py` links panels to them.
"""

from typing import Final

from grafana.paths import RUNBOOKS

RUNBOOKS_URL: Final = "https://example.net/sipfarm/docs/runbooks"
"""Below the project's own address."""


def runbook_url(alert: str) -> str:
    """The page about an alert; empty if there is none."""
    return f"{RUNBOOKS_URL}/{alert}.md" if (RUNBOOKS / f"{alert}.md").exists() else ""
