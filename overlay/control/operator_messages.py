"""What the CLI asks its node's daemon, and what the daemon answers.

In: what an operator typed. Out: what the command shows. Counterparts: `overlay.cli.ask_daemon`
asks; `operator_service.py` answers.
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
    """This node's view of itself and of the farm. Answered by `Status`."""


class Status(ControlAnswer, frozen=True, kw_only=True, tag=20):
    """The farm as the asked node sees it, itself first."""

    farm: str
    nodes: tuple[NodeStatus, ...]


class GetLocation(ControlRequest, frozen=True, kw_only=True, tag=21):
    """All that is stored of an address-of-record. Answered by `Location`."""

    aor: str


class Location(ControlAnswer, frozen=True, kw_only=True, tag=21):
    """The merged registration record and which nodes answered with a copy."""

    aor: str
    reach: Reach
    bindings: tuple[Binding, ...]
    replicas: tuple[str, ...]
    """Names of the nodes that hold it."""
    elapsed_us: int
    complete: bool = True
    """At least overlay.read_quorum replicas answered: nothing that was acknowledged is missing."""


class ListCalls(ControlRequest, frozen=True, kw_only=True, tag=22):
    """A page of billing records from the whole farm. Answered by `Calls`."""

    cursor: str = ""
    limit: int = 100
    subscriber: str = ""
    """Only calls with this address-of-record on either side."""
    since_us: int = 0
    until_us: int = 0
    """0: no bound."""
    states: tuple[str, ...] = ()
    """Only records of these states; none: of all."""


class ShowCall(ControlRequest, frozen=True, kw_only=True, tag=23):
    """All billing records of one Call-ID. Answered by `Calls`."""

    call_id: str


class Calls(ControlAnswer, frozen=True, kw_only=True, tag=22):
    """Billing records; a cursor that is not empty continues the list."""

    calls: tuple[CallRecord, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()
    """Nodes that are alive but did not answer: the page may be incomplete."""


class ListCopies(ControlRequest, frozen=True, kw_only=True, tag=45):
    """Call events as each node keeps them, a page from the whole farm. Answered by `Copies`."""

    cursor: str = ""
    limit: int = 500
    since_us: int = 0
    until_us: int = 0
    chained: bool = False
    """Not events of calls, but the signed blocks of them (`overlay.billing.chain`)."""


class EventCopy(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One version of an event."""

    body: bytes
    holders: tuple[str, ...]
    """Nodes that keep this version."""


class Copies(ControlAnswer, frozen=True, kw_only=True, tag=45):
    """All versions of the events of some calls."""

    copies: tuple[EventCopy, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()


class PutSubscriber(ControlRequest, frozen=True, kw_only=True, tag=24):
    """Store a subscriber record that the operator signed. Answered by `Done`."""

    record: Subscriber


class ListSubscribers(ControlRequest, frozen=True, kw_only=True, tag=25):
    """A page of subscribers from the whole farm. Answered by `Subscribers`."""

    cursor: str = ""
    limit: int = 100


class Subscribers(ControlAnswer, frozen=True, kw_only=True, tag=25):
    """Subscribers in order of their names, without their secrets."""

    aors: tuple[str, ...]
    cursor: str = ""
    silent: tuple[str, ...] = ()


class Leave(ControlRequest, frozen=True, kw_only=True, tag=27):
    """Leave the farm gracefully: tell every peer, then stop. Answered by `Done`."""


class Withdraw(ControlRequest, frozen=True, kw_only=True, tag=32):
    """Take this node's Kamailio out of DNS: it is about to be stopped. Answered by `Done`."""


class Drain(ControlRequest, frozen=True, kw_only=True, tag=30):
    """Take the asked node out of service, or back. Answered by `Drained`."""

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
    """May this node be stopped now? Nothing is done. Answered by `StopAdvice`."""

    node: str
    """Its name."""


class StopAdvice(ControlAnswer, frozen=True, kw_only=True, tag=31):
    """Whether it may."""

    node: str
    ok: bool
    reasons: tuple[str, ...] = ()
    """Why not."""


class GetSubscriber(ControlRequest, frozen=True, kw_only=True, tag=28):
    """What is in force of a subscriber? Answered by `SubscriberInForce`."""

    aor: str


class SubscriberInForce(ControlAnswer, frozen=True, kw_only=True, tag=28):
    """A subscriber as it is stored."""

    version: int = 0
    """0: there has never been one of this name."""
    removed: bool = False
    record: Subscriber | None = None
    """All of it, so that the operator can sign a changed copy; None when there is none."""


class PutRevocations(ControlRequest, frozen=True, kw_only=True, tag=29):
    """A revocation list that the operator signed, for the whole farm. Answered by `Done`."""

    body: bytes
    """As `overlay.identity.revocations` encodes it."""


class GetSettings(ControlRequest, frozen=True, kw_only=True, tag=40):
    """What is decided for the whole farm? Answered by `SettingsInForce`."""


class SettingsInForce(ControlAnswer, frozen=True, kw_only=True, tag=40):
    """The farm's settings."""

    body: bytes
    """As `overlay.records.settings` encodes them."""


class PutSettings(ControlRequest, frozen=True, kw_only=True, tag=41):
    """Settings that the operator signed, for the whole farm. Answered by `Done`."""

    body: bytes
    """As `overlay.records.settings` encodes them."""


class ListLockouts(ControlRequest, frozen=True, kw_only=True, tag=51):
    """Who is locked out. Answered by `LockoutsAre`."""


class LockedOut(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Who guessed too many passwords."""

    aor: str
    """Empty: anybody from that address."""
    address: str
    left_s: int


class LockoutsAre(ControlAnswer, frozen=True, kw_only=True, tag=51):
    """As the asked node knows them."""

    lockouts: tuple[LockedOut, ...]


class EndLockout(ControlRequest, frozen=True, kw_only=True, tag=52):
    """Let them in again, on every node. Answered by `Done`."""

    aor: str
    address: str


class AskGateways(ControlRequest, frozen=True, kw_only=True, tag=42):
    """What do the gateways of this trunk say to the asked node? Answered by `GatewaysSaid`."""

    name: str


class GatewaysSaid(ControlAnswer, frozen=True, kw_only=True, tag=42):
    """An answer for each gateway; none: there is no such trunk."""

    node: str
    gateways: tuple[GatewayAnswer, ...]
