"""The questions of a proxy to its node's daemon, and the daemon's answers.

In: the question that a SIP message gives a worker. Out: the answer that the worker acts on.
Counterparts: `proxy.overlay_client` asks; `proxy_service.py` answers.
"""

from overlay.control.control_protocol import ControlAnswer, ControlRequest
from overlay.records.call import CallEvent
from overlay.records.register import Contact, ContactChange, RegisterOutcome
from overlay.records.subscriber import Policy
from overlay.records.targets import Reach, Target


class Locate(ControlRequest, frozen=True, kw_only=True, tag=1):
    """Asks where an address-of-record can be reached. Answered by `Located`."""

    aor: str


class Located(ControlAnswer, frozen=True, kw_only=True, tag=1):
    """Targets in the order in which to try them. The order is the same on every node."""

    reach: Reach
    targets: tuple[Target, ...] = ()


class Authenticate(ControlRequest, frozen=True, kw_only=True, tag=2):
    """Asks for the digest secrets of a subscriber. Answered by `Secrets`."""

    aor: str
    address: str = ""
    """The address that the request came from; empty if that says nothing about its sender."""


class Secrets(ControlAnswer, frozen=True, kw_only=True, tag=2):
    """A subscriber's secrets and policy; empty secrets mean that there is no such subscriber."""

    ha1: str
    ha1_sha256: str
    policy: Policy = Policy()
    locked_s: int = 0
    """Above 0: for so long, nobody at that address is let in, or nobody as this user."""


class LoginFailed(ControlRequest, frozen=True, kw_only=True, tag=50):
    """A sender failed to prove that it is this subscriber. Answered by `Done`."""

    aor: str
    address: str


class Register(ControlRequest, frozen=True, kw_only=True, tag=3):
    """An authorized REGISTER. Answered by `Registered`.

    A request without contacts and without `remove_all` asks for the present bindings (RFC 3261
    10.2.3).
    """

    aor: str
    call_id: str
    cseq: int
    contacts: tuple[ContactChange, ...] = ()
    remove_all: bool = False
    """The REGISTER has `Contact: *` and Expires 0."""
    path: tuple[str, ...] = ()
    user_agent: str = ""
    contacts_max: int = 0
    """The number of bindings that this subscriber may have; 0 means the farm's limit."""


class Registered(ControlAnswer, frozen=True, kw_only=True, tag=3):
    """The answer to a REGISTER."""

    outcome: RegisterOutcome
    bindings: tuple[Contact, ...] = ()
    move: bool = False
    """True if the phone should go to another node, as its connection ends soon."""
    weak: bool = False
    """True if fewer nodes than overlay.write_quorum are there to hold the record."""


class WriteEvent(ControlRequest, frozen=True, kw_only=True, tag=4):
    """Asks the daemon to make this call event safe. Answered by `Written`, or by `Refused` if the
    event is safe nowhere."""

    event: CallEvent


class Written(ControlAnswer, frozen=True, kw_only=True, tag=4):
    """The event is safe. `level` is `quorum` (on W disks) or `journal` (on this node's disk
    alone)."""

    level: str


class ClaimCall(ControlRequest, frozen=True, kw_only=True, tag=60):
    """Asks whether this subscriber may have one more call at a time. Answered by `CallClaimed`.

    A repeated INVITE gets the same answer again.
    """

    aor: str
    call_id: str
    from_tag: str
    cseq: int
    calls_max: int


class CallClaimed(ControlAnswer, frozen=True, kw_only=True, tag=60):
    """Whether the subscriber may have one more call."""

    granted: bool
    calls: int = 0
    """The number of calls that count now."""


class ReleaseCall(ControlRequest, frozen=True, kw_only=True, tag=61):
    """A claimed INVITE was refused, so there is no call. Answered by `Done`."""

    aor: str
    call_id: str
    from_tag: str
    cseq: int
