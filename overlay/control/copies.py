"""Compares the copies of the nodes: every version of every event, and the nodes that have it.

In: pages of the nodes, in order of (time, key). Out: one page that tells the versions apart. Pure.
Counterparts: `farm_wide.py` asks the nodes; `overlay.billing.audit` compares the versions.
"""

from overlay.base.limits import COPIES_BYTES_MAX
from overlay.control.operator_messages import EventCopy

Position = tuple[int, bytes]
RawPage = tuple[list[tuple[int, bytes, tuple[bytes, ...]]], bool]
"""Calls by (time, key), each with its events; and whether there are more calls."""


def page_of_copies(
    pages: list[tuple[str, RawPage]],
) -> tuple[tuple[EventCopy, ...], Position | None]:
    """The versions, and where to go on; None if nothing is left.

    A page ends where the first of the nodes' pages ends, as it would lack events after that.
    """
    ends = [rows[-1][:2] for _, (rows, more) in pages if more]
    horizon = min(ends, default=None)
    calls: dict[Position, dict[bytes, list[str]]] = {}
    for name, (rows, _) in pages:
        for time_us, key, bodies in rows:
            if horizon is None or (time_us, key) <= horizon:
                versions = calls.setdefault((time_us, key), {})
                for body in bodies:
                    versions.setdefault(body, []).append(name)
    copies: list[EventCopy] = []
    size = 0
    for position in sorted(calls):
        for body, holders in calls[position].items():
            copies.append(EventCopy(body=body, holders=tuple(holders)))
            size += len(body) + sum(map(len, holders))
        if size > COPIES_BYTES_MAX and position != max(calls):
            return tuple(copies), position
    return tuple(copies), horizon
