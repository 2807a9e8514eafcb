"""Checks that every node sees a re-REGISTER as soon as it is acknowledged, while nodes die.

In: a lab of overlay daemons and Redis. Out: how often a node served an older binding than the last
acknowledged one. Counterpart: `test_coherence.py`; `python -m tests.farm.coherence` tries longer.

Each try registers at one node, waits for its 200, and then asks at once every other node: its
Redis, as a proxy worker does, and its daemon if Redis has nothing. A node with a dead daemon is
left out, as the content of its Redis may be as old as a lease.
"""

import argparse
import contextlib
import itertools
import random
import sys
import time
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from deploy.lab import Lab
from overlay.base.errors import SipfarmError
from overlay.control.client import ControlClient
from overlay.control.proxy_messages import Locate, Located, Register, Registered
from overlay.records.register import ContactChange, RegisterOutcome
from overlay.records.targets import Target, decode_cached, redis_key
from proxy.kept_targets import KeptTargets
from tests.farm.asking import eventually, states

SERVICES = ("redis", "overlay")
CONTACT = "sip:phone@192.0.2.7"
NAMES = 40
"""Addresses-of-record that take turns: their leases are of all ages."""
DEADLINE_S = 1.0


@dataclass
class Counts:
    """What the tries brought."""

    tries: int = 0
    unacknowledged: int = 0
    """REGISTERs that were not answered with 200: nothing is promised of them."""
    looks: int = 0
    hot: int = 0
    """Looks that Redis answered."""
    silent: int = 0
    """Looks that nobody answered: the node is dead, or has just come."""
    kills: int = 0
    stale: list[str] = field(default_factory=list)


class Node:
    """One node, as its proxy workers ask it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self.client = ControlClient(lab.config(name).control_socket)
        self.serves = True
        self.redis = Redis(unix_socket_path=str(lab.config(name).redis_socket))
        self.kept = KeptTargets(lab.config(name).generations_file, time.monotonic)

    def register(self, aor: str, version: int) -> bool:
        """Whether it was acknowledged."""
        contact = ContactChange(uri=CONTACT, expires_s=600, received=f"{CONTACT}:{version}")
        request = Register(aor=aor, call_id=aor, cseq=version, contacts=(contact,))
        with contextlib.suppress(SipfarmError):
            answer = self.client.ask(request, DEADLINE_S)
            return isinstance(answer, Registered) and answer.outcome is RegisterOutcome.DONE
        return False

    def look(self, aor: str, counts: Counts) -> tuple[Target, ...] | None:
        """The targets that a proxy would use now; None when nobody tells."""
        counts.looks += 1
        with contextlib.suppress(RedisError):
            shown = self._cached(redis_key(aor)) if self.serves else ()
            if shown:
                counts.hot += 1
                return shown
        with contextlib.suppress(SipfarmError):
            answer = self.client.ask(Locate(aor=aor), DEADLINE_S)
            self.serves = True
            if isinstance(answer, Located):
                return answer.targets
        counts.silent += 1
        return None

    def _cached(self, key: str) -> tuple[Target, ...]:
        """As `proxy.routes.location`."""
        if kept := self.kept.get(key):
            return kept
        mark = self.kept.mark(key)
        shown = self.redis.get(key)
        if not isinstance(shown, bytes):
            return ()
        found = decode_cached(shown)
        self.kept.keep(key, mark, found)
        return found.targets

    def close(self) -> None:
        """Hang up."""
        self.client.close()
        self.redis.close()


def version_of(targets: tuple[Target, ...]) -> int:
    """The version that the targets show; 0 without any."""
    return int(targets[0].received.rpartition(":")[2]) if targets else 0


def run(lab: Lab, tries: int, kill_every: int, seed: int) -> Counts:
    """Try so often; so many tries after all serve, a daemon is killed, and soon started again."""
    counts, chance = Counts(), random.Random(seed)
    nodes = [Node(lab, node.name) for node in lab.nodes]
    acknowledged: dict[str, int] = {}
    versions = itertools.count(1)
    victim: Node | None = None
    started, changed_at = False, 0
    try:
        for number in range(1, tries + 1):
            counts.tries += 1
            aor = f"phone{chance.randrange(NAMES)}@{lab.farm}"
            version, at = next(versions), chance.choice([n for n in nodes if n.serves])
            if at.register(aor, version):
                acknowledged[aor] = version
            else:
                counts.unacknowledged += 1
            for node in nodes:
                targets = node.look(aor, counts)
                if targets is not None and version_of(targets) < acknowledged.get(aor, 0):
                    counts.stale.append(
                        f"{aor}: {node.name} showed {version_of(targets)} after {at.name}"
                        f" acknowledged {acknowledged[aor]} (try {number})"
                    )
            since = number - changed_at
            if victim is None and since >= kill_every:
                victim, changed_at = chance.choice(nodes), number
                lab.kill(victim.name, "overlay")
                victim.serves = False
                counts.kills += 1
            elif victim and not started and since >= kill_every // 10:
                lab.start(victim.name, "overlay")
                started = True
            elif victim and victim.serves:
                victim, started, changed_at = None, False, number
        if victim and not started:
            lab.start(victim.name, "overlay")
    finally:
        for node in nodes:
            node.close()
    eventually(
        lambda: all(set(states(lab, n.name).values()) == {"alive"} for n in lab.nodes),
        "the farm is whole again",
    )
    return counts


def main() -> int:
    """Try, and print; 1 if anything stale was served."""
    parser = argparse.ArgumentParser(prog="coherence", description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--kill-every", type=int, default=500, metavar="TRIES")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    lab = Lab.up(options.nodes, which=SERVICES)
    try:
        counts = run(lab, options.tries, options.kill_every, options.seed)
    finally:
        Lab.down()
    print(
        f"{counts.tries} tries, {counts.kills} daemons killed: {counts.looks} looks, of these"
        f" {counts.hot} answered by Redis and {counts.silent} by nobody;"
        f" {counts.unacknowledged} REGISTERs not acknowledged; {len(counts.stale)} stale"
    )
    for line in counts.stale[:20]:
        print(line)
    return 1 if counts.stale else 0


if __name__ == "__main__":
    sys.exit(main())
