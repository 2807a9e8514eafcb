"""The command `tests/simulation/run`: plays many seeds, or one of them again.

In: arguments. Out: a line for each seed that failed, with the command that plays it again, and a
closing line. The exit status is 0 only if every seed kept all promises.
"""

import argparse
import json
import logging
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.simulation import big_farm_main, partial_tables_main
from tests.simulation.simulation import Result, run


def commit() -> str:
    """The commit that is checked out, with a + when the tree differs from it."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../../overlay", ".")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def replay(result: Result, nodes: int) -> str:
    """The command that plays this run again."""
    more = f" --nodes {nodes}" if nodes else ""
    return f"tests/simulation/run --seed {result.seed} --seeds 1{more} --verbose"


def failure(result: Result, nodes: int) -> str:
    """What is told of a seed that failed."""
    lines = [f"seed {result.seed} failed at commit {commit()} with {result.nodes} nodes"]
    lines += [f"    {fault}" for fault in result.faults]
    lines += [f"  {problem}" for problem in result.problems[:8]]
    return "\n".join([*lines, f"  again: {replay(result, nodes)}"])


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tests/simulation/run", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--nodes", type=int, default=0, help="farm size (default: the seed's)")
    parser.add_argument("--json", action="store_true", help="one JSON object a seed")
    parser.add_argument("--verbose", action="store_true", help="show what the daemons log")
    parser.add_argument(
        "--farm",
        metavar="SIZES",
        help="play one farm of each of these sizes instead, such as 10,50,200,1000",
    )
    parser.add_argument(
        "--tables",
        metavar="SIZES",
        help="look records up in one farm of each of these sizes instead, such as 1000,4000,10000",
    )
    parser.add_argument(
        "--lookups", type=int, default=300, help="with --tables: how many (default: 300)"
    )
    parser.add_argument(
        "--known",
        type=int,
        default=0,
        metavar="NODES",
        help="with --tables: how many others a node knows at most (default: all)",
    )
    options = parser.parse_args(arguments)
    if options.tables:
        sizes = [int(size) for size in options.tables.split(",")]
        return partial_tables_main.main(
            sizes, options.seed, options.lookups, options.known, options.json
        )
    if options.farm:
        sizes = [int(size) for size in options.farm.split(",")]
        return big_farm_main.main(sizes, options.seed, options.json)
    level = logging.CRITICAL
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        for noisy in ("kademlia", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        level = logging.INFO
    began_s = time.monotonic()
    results: list[Result] = []
    for seed in range(options.seed, options.seed + options.seeds):
        result = run(seed, options.nodes, level)
        results.append(result)
        if options.json:
            print(json.dumps(asdict(result)), flush=True)
        elif result.problems:
            print(failure(result, options.nodes), flush=True)
    failed = sum(bool(result.problems) for result in results)
    if not options.json:
        print(
            f"{len(results)} seeds, {failed} failed; "
            f"{sum(r.events for r in results)} call events and "
            f"{sum(r.registrations for r in results)} registrations acknowledged, "
            f"{sum(r.lookups for r in results)} lookups, "
            f"{sum(len(r.faults) for r in results)} faults; copies the same again within "
            f"{max(r.join_s + r.converge_s for r in results):.1f} s; "
            f"{sum(r.virtual_s for r in results):.0f} s of farm time in "
            f"{time.monotonic() - began_s:.0f} s"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
