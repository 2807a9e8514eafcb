"""Counts calls twice: as sipp placed them, and as PostgreSQL has their billing records.

In: a lab whose nodes export to a PostgreSQL. Out: the differences. Counterparts: `test_ledger.py`;
`python -m tests.farm.ledger --calls 3000` counts more.

The caller hangs up half of the calls, the callee the other half. INVITEs go through n2, BYEs
through n3. Meanwhile the disk of a node is filled to its last byte and emptied, daemons are killed
and frozen, a node is cut off, and PostgreSQL is stopped and started. sipp repeats requests without
an answer, so every call must be there, once and whole.
"""

import argparse
import collections
import itertools
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deploy.lab import Lab
from overlay.control.proxy_messages import Register, Registered
from overlay.records.register import ContactChange, RegisterOutcome
from tests.farm.asking import eventually, states
from tests.farm.sipp import Sipp
from tests.farm.small_disk import SmallDisk
from tests.postgresql import Cluster
from tests.sip.message import Message

SIDES = ("caller", "callee")
EXPORTED_WITHIN_S = 120.0
EXACT_MS = 50
"""How far a duration may be from sipp's, of a call that nothing happened to."""
SETTLED_S = 2.0
"""How long after the last trouble calls may still notice."""
_STAMP = re.compile(r"^-{5,} (\d{4}-\d\d-\d\d[ \t]\d\d:\d\d:\d\d\.\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Talk:
    """A call as its two phones saw it, in seconds since the epoch."""

    answered_s: float
    ended_s: float
    disturbed: bool
    """Something had to be said twice, or trouble was near."""


@dataclass
class Counts:
    """The two ledgers, compared."""

    placed: int
    exported: int = 0
    missing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    by_state: collections.Counter[str] = field(default_factory=collections.Counter)
    by_hangup: collections.Counter[str] = field(default_factory=collections.Counter)
    exact: int = 0
    """Calls whose durations can be compared, as nothing happened to them."""
    off_ms: list[int] = field(default_factory=list)
    """Of those, how far the two durations are apart."""
    disturbed_off_ms: list[int] = field(default_factory=list)
    """The same of the other calls: some messages reached no node that was alive."""


def count(lab: Lab, cluster: Cluster, calls: int, rate: int, *, trouble: bool) -> Counts:
    """Place the calls, wait until all are exported, and compare."""
    # The node starts anew for it, before the first call.
    with SmallDisk(lab, "n2") if trouble else nullcontext() as disk:
        return _count(lab, cluster, calls, rate, disk)


def _count(lab: Lab, cluster: Cluster, calls: int, rate: int, disk: SmallDisk | None) -> Counts:
    prefix, each = uuid.uuid4().hex, calls // len(SIDES)
    for side in SIDES:
        _register(lab, side)
    timeout_s = 60 + 2 * each // max(1, rate // 2)
    troubled = (0.0, 0.0)
    with ExitStack() as stack:
        players = [
            stack.enter_context(sipp)
            for side in SIDES
            for sipp in _players(lab, side, f"{prefix}-{side}", each, rate // 2, timeout_s)
        ]
        if disk is not None:
            troubled = _trouble(lab, cluster, disk)
        for sipp in players:
            sipp.wait()
        talks = dict(itertools.chain(_talks(players[:2], troubled), _talks(players[2:], troubled)))
    eventually(lambda: set(states(lab, "n1").values()) == {"alive"}, "the farm is whole again")
    placed = {call_id for call_id in talks if call_id.startswith(prefix)}
    wanted = f"SELECT count(*) FROM cdr WHERE callid LIKE '{prefix}%' AND state = 'complete'"
    until_s = time.monotonic() + EXPORTED_WITHIN_S
    while int(cluster.ask(wanted) or 0) < calls and time.monotonic() < until_s:
        time.sleep(0.5)
    counts = Counts(placed=len(placed))
    found = set()
    columns = "callid, state, hangup, duration"
    rows = cluster.ask(f"SELECT {columns} FROM cdr WHERE callid LIKE '{prefix}%'").splitlines()
    for row in rows:
        call_id, state, hangup, duration = row.split("|")
        found.add(call_id)
        counts.exported += 1
        counts.by_state[state] += 1
        counts.by_hangup[hangup] += 1
        talk = talks.get(call_id)
        if talk is None:
            continue
        off_ms = round(abs(float(duration) - (talk.ended_s - talk.answered_s)) * 1000)
        if talk.disturbed:
            counts.disturbed_off_ms.append(off_ms)
        else:
            counts.exact += 1
            counts.off_ms.append(off_ms)
    counts.missing, counts.unknown = sorted(placed - found), sorted(found - placed)
    return counts


def _register(lab: Lab, side: str) -> None:
    contact = ContactChange(
        uri=f"sip:{side}@{lab.phone('p1').address}:{_port(side)}", expires_s=3600
    )
    request = Register(aor=f"{side}@{lab.farm}", call_id=side, cseq=1, contacts=(contact,))
    registered = lab.ask("n1", request)
    assert isinstance(registered, Registered)
    assert registered.outcome is RegisterOutcome.DONE


def _port(side: str) -> int:
    return 5080 + SIDES.index(side)


def _players(
    lab: Lab, side: str, prefix: str, calls: int, rate: int, timeout_s: int
) -> Iterator[Sipp]:
    """The callee, then the caller."""
    bye_via = lab.node("n3").address
    scenarios = ("callee", "caller") if side == "caller" else ("callee_hangs_up", "caller_waits")
    port = _port(side)
    common = {"port": port, "calls": calls, "timeout_s": timeout_s, "bye_via": bye_via}
    yield Sipp(lab, "p1", scenarios[0], **common)  # type: ignore[arg-type]
    to = f"{lab.node('n2').address}:5060"
    yield Sipp(
        lab,
        "p2",
        scenarios[1],
        to=to,
        call_id=prefix,
        rate=rate,
        service=side,
        **common,  # type: ignore[arg-type]
    )


def _trouble(lab: Lab, cluster: Cluster, disk: SmallDisk) -> tuple[float, float]:
    """One after the other; from when until when calls may have noticed."""
    time.sleep(3)
    began_s = time.time()
    disk.fill()
    time.sleep(2)
    disk.empty()
    time.sleep(1)
    cluster.stop()
    lab.kill("n3", "overlay")
    time.sleep(3)
    lab.start("n3", "overlay")
    time.sleep(2)
    lab.freeze("n1")
    time.sleep(3)
    lab.thaw("n1")
    cluster.start()
    lab.cut(["n3"])
    time.sleep(2)
    lab.heal()
    time.sleep(1)
    lab.kill("n2", "overlay")
    time.sleep(1)
    lab.start("n2", "overlay")
    cluster.stop()
    time.sleep(1)
    cluster.start()
    return began_s, time.time() + SETTLED_S


def _talks(players: Sequence[Sipp], troubled: tuple[float, float]) -> Iterator[tuple[str, Talk]]:
    """Each call's times, from what both sides sent and received: a call begins when its 200 leaves
    the callee, though the caller hears of it later, when the answer is on disk."""
    answered: dict[str, float] = {}
    ended: dict[str, float] = {}
    twice: set[str] = set()
    for sipp in players:
        said: collections.Counter[tuple[str, str]] = collections.Counter()
        for at_s, call_id, what in _said(sipp):
            if what.startswith("200 ") and what.endswith("INVITE"):
                answered[call_id] = min(at_s, answered.get(call_id, at_s))
            elif what.startswith("BYE "):
                ended[call_id] = min(at_s, ended.get(call_id, at_s))
            said[call_id, what] += 1
        twice |= {name for (name, what), times in said.items() if times > 1 and "ACK" not in what}
    for call_id, answered_s in answered.items():
        ended_s = ended.get(call_id, answered_s)
        near = troubled[0] < ended_s and answered_s < troubled[1]
        yield call_id, Talk(answered_s, ended_s, call_id in twice or near)


def _said(sipp: Sipp) -> Iterator[tuple[float, str, str]]:
    """When, in which call, and what: method or status code, and CSeq."""
    text = sipp.messages_path.read_bytes().decode(errors="replace")
    parts = _STAMP.split(text)[1:]
    for stamp, part in zip(parts[::2], parts[1::2], strict=True):
        at_s = datetime.fromisoformat(stamp.replace("\t", " ")).timestamp()
        # What sipp says itself, an empty line, and the message.
        message = Message(part.split("\n", 2)[2].lstrip())
        what = f"{message.code or message.method} {message.get('CSeq')}"
        yield at_s, message.get("Call-ID"), what


def main() -> int:
    """Count, and print; 1 if a call is missing, or there more than once."""
    parser = argparse.ArgumentParser(prog="ledger", description=__doc__)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rate", type=int, default=40, help="calls a second")
    parser.add_argument("--peace", action="store_true", help="no trouble: durations alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipfarm-ledger-") as folder:
        cluster = Cluster(Path(folder))
        cluster.start()
        try:
            lab = Lab.up(3, settings={"export.postgresql": cluster.address})
            try:
                counts = count(lab, cluster, options.calls, options.rate, trouble=not options.peace)
            finally:
                Lab.down()
        finally:
            cluster.stop()
    print(
        f"{counts.placed} calls placed, {counts.exported} records in PostgreSQL"
        f" ({dict(counts.by_state)}, hung up by {dict(counts.by_hangup)});"
        f" {len(counts.missing)} missing, {len(counts.unknown)} unknown"
    )
    for which, off_ms in (
        ("undisturbed", sorted(counts.off_ms)),
        ("disturbed", sorted(counts.disturbed_off_ms)),
    ):
        if off_ms:
            far = sum(off > EXACT_MS for off in off_ms)
            print(
                f"durations of the {len(off_ms)} {which} calls: off by"
                f" {off_ms[len(off_ms) // 2]} ms in the middle, {off_ms[-1]} ms at most;"
                f" {far} by more than {EXACT_MS} ms"
            )
    return 1 if counts.missing or counts.unknown or counts.exported != counts.placed else 0


if __name__ == "__main__":
    sys.exit(main())
