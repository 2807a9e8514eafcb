"""Signs and stores a change of a subscriber.

In: the changed record, and the one in force. Out: the signed record to the daemon. Counterparts:
`subscriber.py` and `subscriber_policy.py`, which decide what changes.
"""

import time
import uuid

from msgspec.structs import replace

from overlay.cli.ask_daemon import Daemon
from overlay.control.control_protocol import Done
from overlay.control.operator_messages import PutSubscriber, SubscriberInForce
from overlay.control.proxy_messages import Register, Registered
from overlay.identity.operator import OperatorKey
from overlay.records.clock import COUNTER_BITS
from overlay.records.register import RegisterOutcome
from overlay.records.subscriber import Subscriber, signed


def put(node: Daemon, key: OperatorKey, record: Subscriber, before: SubscriberInForce) -> None:
    """Sign the record as the version that follows the one in force, and store it."""
    version = max(time.time_ns() // 1_000_000 << COUNTER_BITS, before.version + 1)
    node.ask(PutSubscriber(record=signed(replace(record, version=version), key)), Done)


def remove_bindings(node: Daemon, aor: str) -> bool:
    """Remove the bindings of all phones of a subscriber, whatever their CSeq, under a new Call-ID.
    False if too few replicas could be reached."""
    removal = Register(aor=aor, call_id=f"removed-{uuid.uuid4()}", cseq=1, remove_all=True)
    return node.ask(removal, Registered).outcome is RegisterOutcome.DONE
