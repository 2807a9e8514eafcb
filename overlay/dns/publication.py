"""What the farm publishes in somebody else's zone, and what has to change there (RFC 2136).

In: the nodes as membership sees them, what was published before. Out: sets of records to replace
and to delete. Pure: no sockets, no clock. Counterparts: `zone.py`, whose records these are, and
`publisher.py`, which sends the changes.

Beside the records stands a mark, a TXT set that names all that the farm put there: what is to go is
what the mark names and the farm no longer has, so nothing of the operator's is touched.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from overlay.dns.zone import NAME_SERVERS, Record, Zone, ZoneView

MARK_LABEL: Final = "_sipfarm"
_DIGEST: Final = "digest="
_SET: Final = "set="
_HOST_TYPES: Final = ("A", "AAAA")
_TYPES: Final = (*_HOST_TYPES, "SRV", "NAPTR")

SetName = tuple[str, str]
"""Name with a dot at the end, and type."""


@dataclass(frozen=True, kw_only=True)
class RecordSet:
    """All records of one name and type."""

    name: str
    type: str
    ttl_s: int
    contents: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What makes the zone as it should be; the order in which they are sent is this one."""

    put: tuple[RecordSet, ...] = ()
    """Each in the place of what is there; hosts before the sets that name them, the mark last."""
    delete: tuple[SetName, ...] = ()

    @property
    def none(self) -> bool:
        """Whether all is as it should be."""
        return not self.put and not self.delete


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What the mark says."""

    digest: str = ""
    sets: frozenset[SetName] = frozenset()
    """All that was put there, but for the mark itself."""


def publishes(own_id: bytes, live_ids: Iterable[bytes]) -> bool:
    """Whether this node is the one that publishes: the lowest live id."""
    return own_id == min({own_id, *live_ids})


def cautious(view: ZoneView) -> ZoneView:
    """The view, in which nobody is taken for dead by a node that sees less than half of the farm.

    It may be the one that is cut off, and the others would be taken out of DNS by it.
    """
    live = sum(node.live for node in view.nodes)
    if 2 * live >= len(view.nodes):
        return view
    return replace(view, nodes=tuple(replace(node, live=True) for node in view.nodes))


def publication(view: ZoneView) -> dict[SetName, RecordSet]:
    """All that should be published, the mark included; nothing if no node is live."""
    zone = Zone(replace(view, serial=0))
    apex = zone.apex
    stand_ins = {f"{label}.{apex}" for label in NAME_SERVERS} - {
        f"{node.name}.{apex}" for node in view.nodes
    }
    gathered: dict[SetName, set[str]] = {}
    for record in zone.records():
        if _published(record, stand_ins):
            gathered.setdefault((record.name, record.type), set()).add(record.content)
    if not gathered:
        return {}
    sets = {
        (name, kind): RecordSet(
            name=name, type=kind, ttl_s=view.ttl_s, contents=frozenset(contents)
        )
        for (name, kind), contents in gathered.items()
    }
    mark = mark_of(apex, sets, view.ttl_s)
    return {**sets, (mark.name, mark.type): mark}


def changes(
    wanted: Mapping[SetName, RecordSet], known: Mapping[SetName, RecordSet], marked: Set[SetName]
) -> Changes:
    """From what is `known` to be there, and what is `marked` there, to what is `wanted`."""
    put = [records for key, records in wanted.items() if known.get(key) != records]
    gone = (known.keys() | marked) - wanted.keys()
    return Changes(put=tuple(sorted(put, key=_order)), delete=tuple(sorted(gone)))


def is_host(records: RecordSet, apex: str) -> bool:
    """Whether these are the addresses of one node."""
    return records.type in _HOST_TYPES and records.name != apex


def mark_of(apex: str, sets: Mapping[SetName, RecordSet], ttl_s: int) -> RecordSet:
    """The mark for these sets."""
    state = sha256()
    for key in sorted(sets):
        state.update(repr((key, sets[key].ttl_s, sorted(sets[key].contents))).encode())
    texts = [f"{_DIGEST}{state.hexdigest()[:32]}"]
    texts += [f"{_SET}{kind} {name}" for name, kind in sets]
    return RecordSet(
        name=f"{MARK_LABEL}.{apex}",
        type="TXT",
        ttl_s=ttl_s,
        contents=frozenset(f'"{text}"' for text in texts),
    )


def read_mark(contents: Iterable[str], apex: str) -> Mark:
    """What a mark says; what is not the farm's to delete is left out of it."""
    digest, sets = "", set()
    for content in contents:
        text = content.strip('"')
        if text.startswith(_DIGEST):
            digest = text.removeprefix(_DIGEST)
        elif text.startswith(_SET):
            kind, _, name = text.removeprefix(_SET).partition(" ")
            if f".{name}".endswith(f".{apex}") and kind in _TYPES:
                sets.add((name, kind))
    return Mark(digest=digest, sets=frozenset(sets))


def _published(record: Record, stand_ins: Set[str]) -> bool:
    """The zone's own administration is the operator's: SOA, NS, and the name servers' names."""
    return record.type not in ("SOA", "NS") and record.name not in stand_ins


def _order(records: RecordSet) -> tuple[int, str, str]:
    if records.type == "TXT":
        return 2, records.name, records.type
    return int(records.type not in _HOST_TYPES), records.name, records.type
