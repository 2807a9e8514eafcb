"""Requests that are too large for UDP go to phones over TCP (RFC 3261 18.1.1), if they take it.

In: the targets of an initial request. Out: the same, where it is large, over TCP first and over UDP
when that has failed: each such target becomes one with a backup, as a device with two flows, so
`relay.py` tries the next. Nobody tells a transaction that its connection was refused, so it waits a
short time for any answer; a phone that gave none is remembered. Only a Contact
that leaves the transport open is meant: who says `transport=udp`, and who is reached on a flow, has
no other way.
"""

from typing import Final

from msgspec.structs import replace

from overlay.control.messages import Target
from proxy import sip_uri
from proxy.worker import Worker

METHODS: Final = frozenset({"INVITE", "MESSAGE"})
"""Initial requests that have a body worth the name."""
WAIT_MS: Final = 2_000
"""How long a phone may take to say anything to a request over TCP."""
_SUFFIX: Final = ";transport=tcp"
_TABLE: Final = "deaf"


def prefer_tcp(worker: Worker, method: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets, those over TCP first that may be and should."""
    bytes_max = worker.settings.config.proxy.udp_bytes_max
    if method not in METHODS or not bytes_max or worker.ksr.kx.get_msglen() <= bytes_max:
        return targets
    return tuple(_both_ways(worker, target) for target in targets)


def is_tcp_attempt(target: Target) -> bool:
    """Whether it is over TCP because the request is large, and for no other reason."""
    return bool(target.backups) and target.uri == target.backups[0].uri + _SUFFIX


def remember_deaf(worker: Worker, failed: Target) -> None:
    """An attempt over TCP has failed: do not make it again soon."""
    worker.ksr.htable.sht_sets(_TABLE, failed.backups[0].uri, "1")


def _both_ways(worker: Worker, target: Target) -> Target:
    uri = target.uri
    if target.received or target.path or target.backups or "?" in uri:
        return target
    if sip_uri.transport_of(uri) or sip_uri.is_reliable(uri):
        return target
    if worker.ksr.htable.sht_get(_TABLE, uri) is not None:
        return target
    return replace(target, uri=uri + _SUFFIX, backups=(target,))
