"""Every node is restarted in turn under load, and no request fails; `rolling.py` does it at R4's
rates.
"""

from deploy.lab import Lab
from tests.farm.rolling import restart_each

RATE = 20


def test_no_request_fails_while_every_node_restarts(breakable_lab: Lab) -> None:
    transports = ("udp", "tcp", "tls")
    rolled = restart_each(
        breakable_lab, calls_per_s=RATE, registers_per_s=RATE, transports=transports
    )
    tally = rolled.tally
    assert set(tally.asked_over) == set(transports)
    assert tally.failed == [], tally.refusals
    assert min(tally.asked.values()) > RATE * sum(rolled.away_s.values())
    assert tally.counts["moved"] > 0, "nobody noticed that nodes were away"
    assert rolled.complete == tally.asked["INVITE"] == tally.asked["BYE"]
