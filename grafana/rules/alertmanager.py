"""Whom Alertmanager tells of what, and what silences what: an example to be filled in.

In: the levels. Out: Alertmanager's configuration. Counterpart: `tests/monitoring/test_alerts.py`
runs it with a receiver of its own.
"""

from typing import Any, Final

from grafana.rules.model import Scope, Severity
from grafana.slo import Levels

EXAMPLE_RECEIVER: Final = "http://127.0.0.1:9095"
"""Stands for whatever takes webhooks, and wakes people or keeps tickets."""
_NODE: Final = ("farm", "node")


def configuration(levels: Levels, receiver: str = EXAMPLE_RECEIVER) -> dict[str, Any]:
    """As Alertmanager reads it; `receiver` is a URL below which /page and /ticket are."""
    pace = levels.pace
    return {
        "route": {
            "receiver": "ticket",
            "group_by": ["farm", "alertname"],
            "group_wait": pace.group_wait,
            "group_interval": pace.group_interval,
            "repeat_interval": pace.repeat_ticket,
            "routes": [
                {"matchers": [_severity(Severity.NOTICE)], "receiver": "nobody"},
                {
                    "matchers": [_severity(Severity.PAGE)],
                    "receiver": "page",
                    "repeat_interval": pace.repeat_page,
                },
            ],
        },
        "inhibit_rules": inhibitions(),
        "receivers": [
            {"name": "nobody"},
            *(
                {
                    "name": name,
                    "webhook_configs": [{"url": f"{receiver}/{name}", "send_resolved": True}],
                }
                for name in (Severity.PAGE.value, Severity.TICKET.value)
            ),
        ],
    }


def inhibitions() -> list[dict[str, Any]]:
    """What silences what."""
    node = f'scope="{Scope.NODE}"'
    return [
        # What is out of service may be stopped.
        _silences(['alertname="SipfarmNodeDrained"'], [node], _NODE),
        # A node that is away is the cause of all else that is the matter with it.
        _silences(['alertname="SipfarmNodeDown"'], [node, 'alertname!="SipfarmNodeDown"'], _NODE),
        # Tickets alone: Alertmanager never tells the end of an alert that ends while it is
        # silenced, and a page would stay open.
        _silences(['alertname="SipfarmFarmDown"'], [_severity(Severity.TICKET)], ("farm",)),
        _silences(
            [_severity(Severity.PAGE), 'slo!=""'], [_severity(Severity.TICKET)], ("farm", "slo")
        ),
        _silences(
            ['alertname="SipfarmTrunkDown"'], ['alertname="SipfarmGatewayDown"'], ("farm", "trunk")
        ),
    ]


def _silences(source: list[str], target: list[str], equal: tuple[str, ...]) -> dict[str, Any]:
    return {"source_matchers": source, "target_matchers": target, "equal": list(equal)}


def _severity(severity: Severity) -> str:
    return f'severity="{severity}"'
