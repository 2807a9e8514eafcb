"""Sends requests that are too large for UDP over TCP (RFC 3261 18.1.1), to phones that take it.

In: the targets of an initial request. Out: the same targets; if the request is large, over TCP
first, and over UDP when that has failed. Counterpart: `fork.py`, which tries the next way: each
target becomes one with a backup, like a device that has two flows.

Only a Contact that leaves the transport open is treated so. A Contact with `transport=udp`, and a
phone that is reached along a flow, have no other way. Nothing tells a transaction that its
connection was refused, so it waits a short time for any answer. A phone that gave none is
remembered as deaf on TCP.
"""

from typing import Final

from msgspec.structs import replace

from overlay.records.targets import Target
from proxy import sip_uri
from proxy.routes import fields
from proxy.worker import Worker

METHODS: Final = frozenset({"INVITE", "MESSAGE"})
"""Initial requests whose body may be large."""
WAIT_MS: Final = 2_000
"""How long a phone may take until its first answer to a request over TCP."""
_SUFFIX: Final = ";transport=tcp"
_TABLE: Final = "deaf"


def prefer_tcp(worker: Worker, method: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets; those that a large request should reach over TCP first have TCP first."""
    bytes_max = worker.settings.config.proxy.udp_bytes_max
    if method not in METHODS or not bytes_max or worker.ksr.kx.get_msglen() <= bytes_max:
        return targets
    return tuple(_both_ways(worker, target) for target in targets)


def is_tcp_attempt(target: Target) -> bool:
    """Whether the target is over TCP because the request is large, and for no other reason."""
    return bool(target.backups) and target.uri == target.backups[0].uri + _SUFFIX


def remember_deaf(worker: Worker, failed: Target) -> None:
    """An attempt over TCP has failed: do not make it again soon."""
    worker.ksr.htable.sht_sets(_TABLE, fields.fixed_key(failed.backups[0].uri), "1")


def _both_ways(worker: Worker, target: Target) -> Target:
    uri = target.uri
    if target.received or target.path or target.backups or "?" in uri:
        return target
    if sip_uri.transport_of(uri) or sip_uri.is_reliable(uri):
        return target
    if worker.ksr.htable.sht_get(_TABLE, fields.fixed_key(uri)) is not None:
        return target
    return replace(target, uri=uri + _SUFFIX, backups=(target,))
