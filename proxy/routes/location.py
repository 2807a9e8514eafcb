"""Looks up where an address-of-record is reached: in Redis first, at the daemon on a miss.

In: an address-of-record. Out: its targets, or the reason why there are none. Counterparts:
`overlay/cache/`, which fills Redis and empties it when a binding changes; the daemon's `Locate`.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from overlay.base.limits import URI_CHARS_MAX
from overlay.records.names import address_of_record
from overlay.records.targets import Reach, Target, decode_cached, redis_key
from proxy import counters, sip_uri
from proxy.worker import Worker

_COMMAND: Final = "GET %s"


def find(worker: Worker, aor: str) -> tuple[Target, ...] | Reach | None:
    """The targets in the order in which to try them. `OFFLINE` or `UNKNOWN` if there are none; None
    if nobody answered within the deadline."""
    if "\0" in aor or len(aor) > URI_CHARS_MAX:
        return Reach.UNKNOWN
    targets = _cached(worker, aor)
    if targets:
        worker.count(counters.LOOKUPS_HOT)
        return targets
    located = worker.overlay.locate(aor, worker.settings.lookup_deadline_s)
    if located is None:
        worker.count(counters.LOOKUPS_FAILED)
        return None
    worker.count(counters.LOOKUPS_COLD)
    if located.reach is not Reach.FOUND:
        return located.reach
    return located.targets or Reach.OFFLINE


def of_dialled(worker: Worker, user: str) -> tuple[Target, ...] | Reach | None:
    """As `find`, for the subscriber that this user part means: by what was dialled, or else by the
    telephone number that this is."""
    farm = worker.settings.farm
    found = find(worker, address_of_record(user, farm))
    if found is not Reach.UNKNOWN:
        return found
    number = worker.shown.table().number_of(user)
    for other in (number, number[1:]):
        if found is Reach.UNKNOWN and other and other != user:
            found = find(worker, f"{other}@{farm}")
    return found


def encrypted(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets that are reached encrypted, which a `sips` URI asks for (RFC 5630 3.1)."""
    return tuple(
        replace(target, backups=encrypted(target.backups))
        for target in targets
        if protocol_to(target) in ("tls", "wss")
    )


def protocol_to(target: Target) -> str:
    """The transport by which a request leaves for the target."""
    if target.received and not target.path:
        return sip_uri.transport_of(target.received)
    return sip_uri.protocol_of(target.path, target.uri)


def _cached(worker: Worker, aor: str) -> tuple[Target, ...]:
    key = redis_key(aor)
    if kept := worker.kept.get(key):
        return kept
    mark = worker.kept.mark(key)
    if worker.ksr.ndb_redis.redis_cmd_p1("cache", _COMMAND, key, "l") < 0:
        worker.count(counters.CACHE_FAILED)
        return ()
    text = worker.ksr.pv.get("$redis(l=>value)")
    if not text:
        return ()
    try:
        found = decode_cached(text)
    except msgspec.MsgspecError:
        worker.count(counters.CACHE_FAILED)
        return ()
    return worker.kept.keep(key, mark, found)
