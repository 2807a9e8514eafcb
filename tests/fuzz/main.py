"""The command line of the fuzzer: plays one attack after the other until it is stopped.

In: names of attacks. Out: how many cases the node withstood; for the first that it did not, exit
status 1 and the command that plays it again. Counterparts: `attacks.py`, `under_fire.py`.
"""

import argparse
import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import attacks
from tests.fuzz.under_fire import UnderFire

_BY_NAME = {attack.__name__: attack for attack in attacks.ALL}
_BATCH = 50


def main(arguments: Sequence[str]) -> int:
    """Play what the command line names."""
    parser = argparse.ArgumentParser(
        prog="tests/fuzz/run",
        description="Send a real node what hostile peers, clients and name servers might.",
    )
    parser.add_argument("names", nargs="*", metavar="ATTACK", help=", ".join(_BY_NAME))
    parser.add_argument("--cases", type=int, default=1_000, help="of each attack (default: 1000)")
    parser.add_argument("--seconds", type=float, default=0.0, help="of each attack, not cases")
    parser.add_argument("--seed", type=int, default=0, help="of the first case (default: 0)")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(_BY_NAME)):
        parser.error(f"no attack {' '.join(unknown)}; there are {' '.join(_BY_NAME)}")
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="sipfarm-fuzz-") as directory:
        fire = UnderFire(Path(directory))
        try:
            for name in options.names or _BY_NAME:
                count = _play(fire, name, options)
                print(f"{name}: {count} cases borne", flush=True)
        except AssertionError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            fire.close()
    return 0


def _play(fire: UnderFire, name: str, options: argparse.Namespace) -> int:
    until_s = time.monotonic() + options.seconds if options.seconds else float("inf")
    left = sys.maxsize if options.seconds else options.cases
    seeds, count = itertools.count(options.seed), 0
    while left > 0 and time.monotonic() < until_s:
        batch = min(left, _BATCH)
        count += attacks.play(fire, _BY_NAME[name], itertools.islice(seeds, batch))
        left -= batch
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
