"""The records that the farm publishes in the operator's zone, and what has to change there (RFC
2136).

In: the nodes as membership sees them, and what was published before. Out: sets of records to
replace and to delete. Pure: no sockets, no clock. Counterparts: `zone.py`, which makes the records,
and `publisher.py`, which sends the changes.

Beside the records the farm publishes a mark: a TXT set that names all sets which the farm put
there. The farm deletes only sets that the mark names and that it no longer has. So it touches
nothing of the operator's.
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
    """The changes that the zone needs, in the order in which they are sent."""

    put: tuple[RecordSet, ...] = ()
    """Sets that replace the present ones: hosts before the sets that name them, and the mark
    last."""
    delete: tuple[SetName, ...] = ()

    @property
    def none(self) -> bool:
        """Whether nothing has to change."""
        return not self.put and not self.delete


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The content of the mark."""

    digest: str = ""
    sets: frozenset[SetName] = frozenset()
    """All sets that the farm put there, except the mark itself."""


def publishes(own_id: bytes, live_ids: Iterable[bytes]) -> bool:
    """Whether this node publishes: the node with the lowest live id does."""
    return own_id == min({own_id, *live_ids})


def cautious(view: ZoneView) -> ZoneView:
    """The view; if this node sees less than half of the farm alive, then with all nodes as live.

    Such a node may be the one that is cut off. It would otherwise take the others out of DNS.
    """
    live = sum(node.live for node in view.nodes)
    if 2 * live >= len(view.nodes):
        return view
    return replace(view, nodes=tuple(replace(node, live=True) for node in view.nodes))


def publication(view: ZoneView) -> dict[SetName, RecordSet]:
    """All sets that should be published, with the mark; nothing if no node is live."""
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
    """The changes that lead to `wanted`, from the sets `known` to be there and those that the mark
    names."""
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
    """The content of a mark, without the sets that the farm may not delete."""
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
    """Whether the farm publishes this record. SOA, NS and the names of the name servers belong to
    the zone's administration, which is the operator's."""
    return record.type not in ("SOA", "NS") and record.name not in stand_ins


def _order(records: RecordSet) -> tuple[int, str, str]:
    if records.type == "TXT":
        return 2, records.name, records.type
    return int(records.type not in _HOST_TYPES), records.name, records.type
