"""Measures two sides in turn, and compares them.

In: two `Side`s that can be made to do a fixed amount of work. Out: microseconds of CPU for a unit
of work, round by round, in a `Comparison`. It knows nothing of SIP.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from bench import cpu
from bench.load import Outcome

_SETTLE_S = 0.3
"""After the load, before the second reading: what is done behind the answer belongs to it."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison."""

    name: str
    namespaces: tuple[str, ...]
    """Where its processes run, and no others."""
    work: Callable[[int], Outcome]
    """Does so many units of work."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one side cost, round by round."""

    unit_us: tuple[float, ...]
    """CPU a unit of work, microseconds."""
    idle_us_per_s: float
    """CPU a second without any work, microseconds; contained in `unit_us`."""
    programs_us: dict[str, float]
    """CPU a unit of work by program, over all rounds; what is in `unit_us`, seen from inside."""
    retransmissions: int

    @property
    def median_us(self) -> float:
        """CPU a unit of work in the middle round."""
        return statistics.median(self.unit_us)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both sides' figures; ratios are ours to the peer's."""

    ours: Figures
    peer: Figures

    @property
    def ratios(self) -> tuple[float, ...]:
        """One a round: a round's two halves are neighbours in time, so that what slows the
        machine slows both."""
        pairs = zip(self.ours.unit_us, self.peer.unit_us, strict=True)
        return tuple(ours / peer for ours, peer in pairs)

    @property
    def ratio(self) -> float:
        """The middle one of the rounds' ratios."""
        return statistics.median(self.ratios)


def compare(
    ours: Side, peer: Side, *, rounds: int, count: int, warm_up: int, idle_s: float
) -> Comparison:
    """Let both sides do `count` units a round, each going first in every other round.

    `warm_up` units are done before anything is measured, and each side is watched for `idle_s`
    seconds doing nothing. Raises `MeasureError` when more than a thousandth of the work fails.
    """
    tallies = {side.name: _Tally() for side in (ours, peer)}
    sides = (ours, peer)
    for side in sides:
        side.work(warm_up).check(f"{side.name}, warming up")
    idle_us_per_s = {side.name: _idle_us_per_s(side, idle_s) for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            before = cpu.account(side.namespaces)
            outcome = side.work(count)
            time.sleep(_SETTLE_S)
            spent_ns = cpu.account(side.namespaces).since(before)
            outcome.check(f"{side.name}, round {number + 1}")
            tallies[side.name].add(spent_ns, outcome)
    our_figures, peer_figures = (
        tallies[side.name].figures(idle_us_per_s[side.name]) for side in sides
    )
    return Comparison(ours=our_figures, peer=peer_figures)


class _Tally:
    """Adds up the rounds of one side."""

    def __init__(self) -> None:
        self._unit_us: list[float] = []
        self._spent_ns: Counter[str] = Counter()
        self._outcome = Outcome(completed=0, failed=0, retransmissions=0)

    def add(self, spent_ns: Counter[str], outcome: Outcome) -> None:
        self._unit_us.append(spent_ns.total() / 1000 / outcome.completed)
        self._spent_ns.update(spent_ns)
        self._outcome += outcome

    def figures(self, idle_us_per_s: float) -> Figures:
        completed = self._outcome.completed
        return Figures(
            unit_us=tuple(self._unit_us),
            idle_us_per_s=idle_us_per_s,
            programs_us={
                program: spent_ns / 1000 / completed
                for program, spent_ns in self._spent_ns.most_common()
            },
            retransmissions=self._outcome.retransmissions,
        )


def _idle_us_per_s(side: Side, seconds: float) -> float:
    before, began_s = cpu.account(side.namespaces), time.monotonic()
    time.sleep(seconds)
    spent_ns = cpu.account(side.namespaces).since(before)
    return spent_ns.total() / 1000 / (time.monotonic() - began_s)
