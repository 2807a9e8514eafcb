"""Recording rules: the share of bad events in each window, and which nodes are out of service.

In: the objectives. Out: rules, and the names under which alerts and dashboards ask for them.
Counterparts: `pages.py`, `tickets.py`.

    farm:sipfarm_slo_bad:increase{slo="calls", window="fast_long"}     bad events in the window
    farm:sipfarm_slo_events:increase{slo="calls", window="fast_long"}  all events in it
    farm:sipfarm_slo_bad:ratio{slo="calls", window="fast_long"}        the share of the bad, 0 to 1
    farm:sipfarm_slo_target:ratio{slo="calls"}                         the share that is to be good
    node:sipfarm_draining:max                                          1 while it is out of service
"""

from collections.abc import Iterator, Sequence
from typing import Final

from grafana.rules.model import JOB, Recorded
from grafana.slo import Levels

BAD_SHARE: Final = "farm:sipfarm_slo_bad:ratio"
BAD_EVENTS: Final = "farm:sipfarm_slo_bad:increase"
ALL_EVENTS: Final = "farm:sipfarm_slo_events:increase"
TARGET: Final = "farm:sipfarm_slo_target:ratio"
DRAINING: Final = "node:sipfarm_draining:max"


def windows(levels: Levels) -> dict[str, str]:
    """The length of each window, by its name: names stay when lengths change."""
    burn = levels.burn
    return {
        "fast_short": burn.fast.short,
        "fast_long": burn.fast.long,
        "slow_short": burn.slow.short,
        "slow_long": burn.slow.long,
    }


def rules(levels: Levels) -> tuple[Recorded, ...]:
    """All of them."""
    return (*_draining(), *_objectives(levels))


def _draining() -> Iterator[Recorded]:
    # The others tell of it: the node itself tells nothing once it is stopped.
    told = 'label_replace(sipfarm_member_draining == 1, "node", "$1", "member", "(.+)")'
    yield Recorded(name=DRAINING, expression=f"max by (farm, node) ({told})")


def _objectives(levels: Levels) -> Iterator[Recorded]:
    for slo, objective in levels.objective.items():
        yield Recorded(
            name=TARGET,
            expression=f"0 * max by (farm) (up{{{JOB}}}) + {objective.target:g}",
            labels=(("slo", slo),),
        )
        for window, length in windows(levels).items():
            labels = (("slo", slo), ("window", window))
            all_events = _sum(objective.total, length)
            # A series with labels is only there once what it counts has happened: until then, 0.
            bad = f"{_sum(objective.bad, length)}\nor\n0 * ({all_events})"
            yield Recorded(name=BAD_EVENTS, expression=bad, labels=labels)
            yield Recorded(name=ALL_EVENTS, expression=all_events, labels=labels)
    # A bad event is now and then asked for a little before the event that it is one of.
    yield Recorded(name=BAD_SHARE, expression=f"clamp_max({BAD_EVENTS} / {ALL_EVENTS}, 1)")


def _sum(counters: Sequence[str], window: str) -> str:
    return "\n+ ".join(f"sum by (farm) (increase({each}[{window}]))" for each in counters)
