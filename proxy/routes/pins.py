"""Remembers, on this node, where each INVITE went until its call is answered: its "pin".

In: an INVITE that is about to leave, and what becomes of its branches. Out: the pin again, when a
CANCEL, an ACK, a reply or a failure of the same transaction comes to any worker of this node.
Counterpart: Kamailio's table `pins` in shared memory, whose entries expire after 200 s.

CANCEL, and the ACK of a refused INVITE, must leave as their INVITE did (RFC 3261 16.10, 17.1.1.3),
and the binding may have changed since. Without the pin, on another node, the binding that is in
force now is the best guess. One INVITE has up to three entries: its pin, the last refusal that a
device of its fork sent, and the sealed note for its call events.
"""

from typing import Final

import msgspec

from overlay.records.targets import Target, decode_targets
from proxy import fork_plan
from proxy.fork_plan import ForkPlan
from proxy.routes import fields
from proxy.worker import Worker

_TABLE: Final = "pins"
PIN_CHARS_MAX: Final = 8 << 10
"""The longest pin, enough for thirty targets. A fork with more tries no second flow or group; for
what has no transaction, CANCEL falls back on bindings."""
WITH_TRANSACTION: Final = "tm"
"""The pin of an INVITE that has a transaction of this node, which itself knows where it went. The
plan of a fork may follow in the same text."""


def pin(worker: Worker, call_id: str, from_tag: str, text: str) -> None:
    """Remember where an INVITE goes: `WITH_TRANSACTION`, or its targets as text."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    if len(text) > PIN_CHARS_MAX or worker.ksr.htable.sht_sets(_TABLE, key, text) < 0:
        worker.log.line("pins", "no room for pins: CANCEL falls back on bindings")


def pin_transaction(worker: Worker) -> None:
    """Remember that an INVITE went out with a transaction of this node."""
    worker.ksr.htable.sht_sets(_TABLE, fields.transaction_key(worker), WITH_TRANSACTION)


def unpin(worker: Worker, call_id: str, from_tag: str) -> None:
    """Forget where an INVITE went: it was answered, and can no longer be cancelled."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    worker.ksr.htable.sht_rm(_TABLE, key)


def is_pinned(worker: Worker, call_id: str, from_tag: str) -> bool:
    """Whether this node sent on an initial INVITE that is not answered yet."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    # For a key that it does not have, Kamailio gives the table's first value, 0.
    return bool(worker.ksr.htable.sht_get(_TABLE, key))


def is_pinned_to_target(worker: Worker, call_id: str, from_tag: str) -> bool:
    """Whether this node sent such an INVITE to one target, and without a transaction."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    found = worker.ksr.htable.sht_get(_TABLE, key)
    return isinstance(found, str) and not found.startswith(WITH_TRANSACTION)


def read(worker: Worker, call_id: str, from_tag: str) -> str | None:
    """The pin of the transaction that this message belongs to; None if this node has none."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    found = worker.ksr.htable.sht_get(_TABLE, key)
    return found if isinstance(found, str) else None


def target_in(text: str) -> Target | None:
    """The target that a pin names; None for a text that is not such a pin."""
    try:
        return decode_targets(text)[0]
    except (msgspec.MsgspecError, IndexError):
        return None


def keep_plan(worker: Worker, key: str, plan: ForkPlan) -> None:
    """Pin a fork, with what is left to try; `key` is `fields.transaction_key`."""
    text = WITH_TRANSACTION + fork_plan.encode(plan)
    kept = text if len(text) <= PIN_CHARS_MAX else WITH_TRANSACTION
    worker.ksr.htable.sht_sets(_TABLE, key, kept)


def plan(worker: Worker, key: str) -> ForkPlan:
    """What is left to try of a fork; an empty plan if there is nothing."""
    kept, found = worker.ksr.htable.sht_get(_TABLE, key), None
    if isinstance(kept, str) and kept.startswith(WITH_TRANSACTION):
        found = fork_plan.decode(kept.removeprefix(WITH_TRANSACTION))
    return found or ForkPlan(())


def keep_refusal(worker: Worker, key: str, status: int) -> None:
    """Remember that a device of a fork, and not a broken flow, refused with this status."""
    worker.ksr.htable.sht_sets(_TABLE, f"{key}|said", str(status))


def refusal(worker: Worker, key: str) -> int:
    """The status of the last refusal that was kept; 0 if there is none."""
    return int(worker.ksr.htable.sht_get(_TABLE, f"{key}|said") or 0)


def keep_note(worker: Worker, call_id: str, from_tag: str, sealed: str) -> None:
    """Remember the sealed note of an INVITE (`notes.py`)."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    worker.ksr.htable.sht_sets(_TABLE, f"{key}|note", sealed)


def note(worker: Worker, call_id: str, from_tag: str) -> str:
    """The sealed note of an INVITE; empty if this node has none."""
    key = fields.table_key(call_id, worker.ksr.pv.get("$cs"), from_tag)
    found = worker.ksr.htable.sht_get(_TABLE, f"{key}|note")
    return found if isinstance(found, str) else ""
