"""The questions of the CLI to its node's daemon, and the daemon's answers.

In: the command that an operator typed. Out: what the command shows. Counterparts:
`overlay.cli.ask_daemon` asks; `operator_service.py` answers.
"""

import msgspec

from overlay.control.control_protocol import ControlAnswer, ControlRequest
from overlay.records.call_record import CallRecord
from overlay.records.draining import DrainPhase, DrainWish, Missing, Withheld
from overlay.records.gateway_answer import GatewayAnswer
from overlay.records.node_status import NodeStatus
from overlay.records.registration import Binding
from overlay.records.subscriber import Subscriber
from overlay.records.targets import Reach


class GetStatus(ControlRequest, frozen=True, kw_only=True, tag=20):
    """Asks for this node's view of itself and of the farm. Answered by `Status`."""


class Status(ControlAnswer, frozen=True, kw_only=True, tag=20):
    """The farm as the asked node sees it. The asked node comes first."""

    farm: str
    nodes: tuple[NodeStatus, ...]


class GetLocation(ControlRequest, frozen=True, kw_only=True, tag=21):
    """Asks for all that is stored of an address-of-record. Answered by `Location`."""

    aor: str


class Location(ControlAnswer, frozen=True, kw_only=True, tag=21):
    """The merged registration record, and the nodes that answered with a copy of it."""

    aor: str
    reach: Reach
    bindings: tuple[Binding, ...]
    replicas: tuple[str, ...]
    """Names of the nodes that hold the record."""
    elapsed_us: int
    complete: bool = True
    """True if at least overlay.read_quorum replicas answered: no acknowledged binding is missing
    then."""


class ListCalls(ControlRequest, frozen=True, kw_only=True, tag=22):
    """Asks for a page of billing records from the whole farm. Answered by `Calls`."""

    cursor: str = ""
    limit: int = 100
    subscriber: str = ""
    """If not empty, only calls with this address-of-record on either side."""
    since_us: int = 0
    until_us: int = 0
    """0 means no limit."""
    states: tuple[str, ...] = ()
    """Only records in one of these states; if empty, records in any state."""


class ShowCall(ControlRequest, frozen=True, kw_only=True, tag=23):
    """Asks for all billing records of one Call-ID. Answered by `Calls`."""

    call_id: str


class Calls(ControlAnswer, frozen=True, kw_only=True, tag=22):
    """Billing records. If the cursor is not empty, the list continues there."""

    calls: tuple[CallRecord, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()
    """Nodes that are alive but did not answer. If there are any, the page may be incomplete."""


class ListCopies(ControlRequest, frozen=True, kw_only=True, tag=45):
    """Asks for a page of call events from the whole farm, as each node keeps them. Answered by
    `Copies`."""

    cursor: str = ""
    limit: int = 500
    since_us: int = 0
    until_us: int = 0
    chained: bool = False
    """Asks for the signed blocks of events (`overlay.billing.chain`) instead of events of calls."""


class EventCopy(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One version of an event."""

    body: bytes
    holders: tuple[str, ...]
    """The nodes that keep this version."""


class Copies(ControlAnswer, frozen=True, kw_only=True, tag=45):
    """All versions of the events of some calls."""

    copies: tuple[EventCopy, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()


class PutSubscriber(ControlRequest, frozen=True, kw_only=True, tag=24):
    """Stores a subscriber record that the operator signed. Answered by `Done`."""

    record: Subscriber


class ListSubscribers(ControlRequest, frozen=True, kw_only=True, tag=25):
    """Asks for a page of subscribers from the whole farm. Answered by `Subscribers`."""

    cursor: str = ""
    limit: int = 100


class Subscribers(ControlAnswer, frozen=True, kw_only=True, tag=25):
    """Subscribers in order of their names, without their secrets."""

    aors: tuple[str, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()


class Leave(ControlRequest, frozen=True, kw_only=True, tag=27):
    """Makes the node leave the farm: it tells every peer, then stops. Answered by `Done`."""


class Withdraw(ControlRequest, frozen=True, kw_only=True, tag=32):
    """Takes this node's Kamailio out of DNS, as it is about to be stopped. Answered by `Done`."""


class Drain(ControlRequest, frozen=True, kw_only=True, tag=30):
    """Takes the asked node out of service, or puts it back. Answered by `Drained`."""

    wish: DrainWish = DrainWish.LOOK


class Drained(ControlAnswer, frozen=True, kw_only=True, tag=30):
    """How far the asked node's draining is: the fields of `DrainState`."""

    phase: DrainPhase
    records: int = 0
    unproven: int = 0
    copies: int = 0
    journal: int = 0
    problem: str = ""
    still_s: float = 0.0
    missing: tuple[Missing, ...] = ()
    peers: tuple[Withheld, ...] = ()
    events: tuple[Missing, ...] = ()


class OkToStop(ControlRequest, frozen=True, kw_only=True, tag=31):
    """Asks whether a node may be stopped now, without any effect. Answered by `StopAdvice`."""

    node: str
    """The node's name."""


class StopAdvice(ControlAnswer, frozen=True, kw_only=True, tag=31):
    """Whether the node may be stopped now."""

    node: str
    ok: bool
    reasons: tuple[str, ...] = ()
    """The reasons against stopping it."""


class GetSubscriber(ControlRequest, frozen=True, kw_only=True, tag=28):
    """Asks for the record of a subscriber that is in force. Answered by `SubscriberInForce`."""

    aor: str


class SubscriberInForce(ControlAnswer, frozen=True, kw_only=True, tag=28):
    """A subscriber as it is stored."""

    version: int = 0
    """0 means that there has never been a subscriber of this name."""
    removed: bool = False
    record: Subscriber | None = None
    """The whole record, so that the operator can sign a changed copy; None if there is none."""


class PutRevocations(ControlRequest, frozen=True, kw_only=True, tag=29):
    """A revocation list that the operator signed, for the whole farm. Answered by `Done`."""

    body: bytes
    """The list, as `overlay.identity.revocations` encodes it."""


class GetSettings(ControlRequest, frozen=True, kw_only=True, tag=40):
    """Asks for the farm's settings. Answered by `SettingsInForce`."""


class SettingsInForce(ControlAnswer, frozen=True, kw_only=True, tag=40):
    """The farm's settings that are in force."""

    body: bytes
    """The settings, as `overlay.records.settings` encodes them."""


class PutSettings(ControlRequest, frozen=True, kw_only=True, tag=41):
    """Settings that the operator signed, for the whole farm. Answered by `Done`."""

    body: bytes
    """The settings, as `overlay.records.settings` encodes them."""


class ListLockouts(ControlRequest, frozen=True, kw_only=True, tag=51):
    """Asks which users and addresses are locked out. Answered by `LockoutsAre`."""


class LockedOut(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A user and an address that are locked out, as too many passwords were wrong."""

    aor: str
    """Empty means everybody at that address."""
    address: str
    left_s: int


class LockoutsAre(ControlAnswer, frozen=True, kw_only=True, tag=51):
    """The lockouts that the asked node knows."""

    lockouts: tuple[LockedOut, ...]


class EndLockout(ControlRequest, frozen=True, kw_only=True, tag=52):
    """Ends a lockout on every node. Answered by `Done`."""

    aor: str
    address: str


class AskGateways(ControlRequest, frozen=True, kw_only=True, tag=42):
    """Asks how the gateways of this trunk answer the asked node. Answered by `GatewaysSaid`."""

    name: str


class GatewaysSaid(ControlAnswer, frozen=True, kw_only=True, tag=42):
    """An answer for each gateway of the trunk; empty if there is no such trunk."""

    node: str
    gateways: tuple[GatewayAnswer, ...]
