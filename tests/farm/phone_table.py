"""Makes the table of real phones that lose their node.

In: stacks and transports to try. Out: a Markdown table on stdout, or JSON. Counterpart:
`phone_trials.py`. Run as `python -m tests.farm.phone_table --stack pjsip --transport tcp`; `--from`
prints the table of results that earlier runs saved.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deploy.lab import Lab
from overlay.base.errors import SipfarmError
from tests.farm.asking import add_subscriber
from tests.farm.phone_trials import LIMIT_S, TRIALS, mend, scene
from tests.farm.phones import PjsipPhone, RealPhone
from tests.farm.phones_baresip import BaresipPhone
from tests.farm.phones_linphone import LinphonePhone

STACKS: Final[dict[str, type[RealPhone]]] = {
    each.stack: each for each in (PjsipPhone, BaresipPhone, LinphonePhone)
}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one trial."""

    stack: str
    transport: str
    trial: str
    step: str
    took_s: float | None
    """None: not within the limit."""
    problem: str = ""
    """The trial could not be played: why."""


def play(lab: Lab, stack: str, transport: str, trial: str, limit_s: float) -> list[Result]:
    """Play one trial; the lab is whole again afterwards."""
    steps = []
    problem = ""
    try:
        with scene(lab, STACKS[stack], transport, limit_s) as played:
            steps = TRIALS[trial].play(played, TRIALS[trial].fault)
    except (AssertionError, SipfarmError, OSError) as error:
        problem = str(error) or type(error).__name__
    finally:
        mend(lab)
    results = [
        Result(stack=stack, transport=transport, trial=trial, step=s.name, took_s=s.took_s)
        for s in steps
    ]
    if problem:
        results.append(
            Result(
                stack=stack,
                transport=transport,
                trial=trial,
                step="",
                took_s=None,
                problem=problem,
            )
        )
    return results


def table(results: Sequence[Result], limit_s: float) -> str:
    """Markdown: a line for each phone, a column for each step of each trial."""
    columns = list(dict.fromkeys((r.trial, r.step) for r in results if r.step))
    columns.sort(key=lambda column: list(TRIALS).index(column[0]))
    heads = [f"{TRIALS[trial].name}: {step}" for trial, step in columns]
    lines = [f"| phone | {' | '.join(heads)} |", "|---" * (len(columns) + 1) + "|"]
    for stack, transport in dict.fromkeys((r.stack, r.transport) for r in results):
        cells = [
            _cell(
                [
                    r.took_s
                    for r in results
                    if (r.stack, r.transport, r.trial, r.step) == (stack, transport, *column)
                ],
                limit_s,
            )
            for column in columns
        ]
        lines.append(f"| {stack} {transport} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(took: Sequence[float | None], limit_s: float) -> str:
    """The median and the worst; how many of how many failed."""
    done = sorted(each for each in took if each is not None)
    if not took:
        return "-"
    if not done:
        return f"**no** ({len(took)} times)" if len(took) > 1 else "**no**"
    text = f"{statistics.median(done):.1f}"
    if len(done) > 1:
        text += f" (≤ {done[-1]:.1f})"
    return text if len(done) == len(took) else f"{text}, **no** {len(took) - len(done)}/{len(took)}"


def main() -> None:
    """Try, and print."""
    parser = argparse.ArgumentParser(prog="phone_table", description=__doc__)
    parser.add_argument("--stack", action="append", choices=STACKS, default=[])
    parser.add_argument("--transport", action="append", default=[])
    parser.add_argument("--trial", action="append", choices=TRIALS, default=[])
    parser.add_argument("--times", type=int, default=1, help="how often each trial is played")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS")
    parser.add_argument("--save", type=Path, help="add the results to this file")
    parser.add_argument("--from", dest="saved", type=Path, help="print these; try nothing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: list[Result] = []
    saved = options.saved or options.save
    if saved and saved.exists():
        results = msgspec.json.decode(saved.read_bytes(), type=list[Result])
    if not options.saved:
        results += _tried(options)
    if options.save:
        options.save.write_bytes(msgspec.json.encode(results))
    if options.json:
        sys.stdout.buffer.write(msgspec.json.encode(results) + b"\n")
    else:
        print(table(results, options.limit))
        for problem in dict.fromkeys(
            f"{r.stack} {r.transport}, {r.trial}: {r.problem}" for r in results if r.problem
        ):
            print(f"- {problem}")


def _tried(options: argparse.Namespace) -> list[Result]:
    results = []
    for stack in options.stack or STACKS:
        lab = Lab.up(3, settings=STACKS[stack].farm_settings)
        try:
            for user in ("alice", "bob"):
                add_subscriber(lab, user)
            chosen = options.transport or STACKS[stack].transports
            for transport in (each for each in STACKS[stack].transports if each in chosen):
                for trial in [*(options.trial or TRIALS)] * options.times:
                    found = play(lab, stack, transport, trial, options.limit)
                    for each in found:
                        print(each, file=sys.stderr, flush=True)
                    results += found
        finally:
            Lab.down()
    return results


if __name__ == "__main__":
    main()
