"""Decides where requests for an address-of-record go: makes targets of its bindings.

In: a registration record, and the names of nodes that are lost. Out: targets in the order in which
to try them, the same on every node. Counterpart: `proxy/routes/relay.py`.

A binding whose owner is lost is no target: its flow died with the node. If one device has several
flows, the first one is the target, and the others are its backups (RFC 5626 5.3: a request goes to
one flow at a time).
"""

import re
from collections.abc import Container
from typing import Final

import msgspec

from overlay.records import registration
from overlay.records.registration import Binding, Registration
from overlay.records.targets import Target

_METHOD: Final = re.compile(r";method(=[^;]*)?(?=;|$)", re.IGNORECASE)


def targets_of(
    record: Registration, now_ms: int, lost: Container[str] = frozenset()
) -> tuple[Target, ...]:
    """The targets, in the order of `registration.in_force`. `lost` are names of nodes."""
    found: dict[str, Target] = {}
    for binding in registration.in_force(record, now_ms):
        if binding.owner and binding.owner in lost:
            continue
        target = _target(binding)
        device = binding.instance if binding.reg_id else binding.place
        first = found.get(device)
        if first is not None:
            target = msgspec.structs.replace(first, backups=(*first.backups, target))
        found[device] = target
    return tuple(found.values())


def request_uri(contact: str) -> str:
    """The Contact without the parts that a Request-URI must not have: header fields, which would go
    into the request, and a method (RFC 3261 16.6 step 2, 19.1.1)."""
    uri = contact.partition("?")[0]
    return _METHOD.sub("", uri) if ";method" in uri.lower() else uri


def _target(binding: Binding) -> Target:
    return Target(
        uri=request_uri(binding.contact),
        received=binding.received,
        owner=binding.owner,
        q=binding.q,
        path=binding.path,
    )
