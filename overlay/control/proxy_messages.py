"""What a proxy asks its node's daemon, and what the daemon answers.

In: what a SIP message makes a worker ask. Out: the answer that the worker acts on. Counterparts:
`proxy.overlay_client` asks; `proxy_service.py` answers.
"""

from overlay.control.control_protocol import ControlAnswer, ControlRequest
from overlay.records.call import CallEvent
from overlay.records.register import Contact, ContactChange, RegisterOutcome
from overlay.records.subscriber import Policy
from overlay.records.targets import Reach, Target


class Locate(ControlRequest, frozen=True, kw_only=True, tag=1):
    """Where is this address-of-record? Answered by `Located`."""

    aor: str


class Located(ControlAnswer, frozen=True, kw_only=True, tag=1):
    """Targets in the order in which to try them; the same order on every node."""

    reach: Reach
    targets: tuple[Target, ...] = ()


class Authenticate(ControlRequest, frozen=True, kw_only=True, tag=2):
    """The digest secrets of a subscriber. Answered by `Secrets`."""

    aor: str
    address: str = ""
    """Where the request came from; empty where that says nothing of who sent it."""


class Secrets(ControlAnswer, frozen=True, kw_only=True, tag=2):
    """Empty secrets: no such subscriber."""

    ha1: str
    ha1_sha256: str
    policy: Policy = Policy()
    locked_s: int = 0
    """Above 0: nobody is let in from that address for so long, at least not as this user."""


class LoginFailed(ControlRequest, frozen=True, kw_only=True, tag=50):
    """Somebody did not prove to be this subscriber. Answered by `Done`."""

    aor: str
    address: str


class Register(ControlRequest, frozen=True, kw_only=True, tag=3):
    """An authorized REGISTER. Answered by `Registered`.

    No contacts and no `remove_all` asks for the bindings as they are (RFC 3261 10.2.3).
    """

    aor: str
    call_id: str
    cseq: int
    contacts: tuple[ContactChange, ...] = ()
    remove_all: bool = False
    """`Contact: *` with Expires 0."""
    path: tuple[str, ...] = ()
    user_agent: str = ""
    contacts_max: int = 0
    """This subscriber's limit of bindings; 0: the farm's."""


class Registered(ControlAnswer, frozen=True, kw_only=True, tag=3):
    """The answer to a REGISTER."""

    outcome: RegisterOutcome
    bindings: tuple[Contact, ...] = ()
    move: bool = False
    """The phone should find another node: its connection ends soon."""
    weak: bool = False
    """Fewer nodes than overlay.write_quorum are there to hold it."""


class WriteEvent(ControlRequest, frozen=True, kw_only=True, tag=4):
    """Make this call event safe. Answered by `Written`, or by `Refused` when nothing is."""

    event: CallEvent


class Written(ControlAnswer, frozen=True, kw_only=True, tag=4):
    """The event is safe; `level` is `quorum` (W disks) or `journal` (this node's disk alone)."""

    level: str


class ClaimCall(ControlRequest, frozen=True, kw_only=True, tag=60):
    """May this subscriber have one more call at a time? Answered by `CallClaimed`; again with the
    same answer when the INVITE is repeated."""

    aor: str
    call_id: str
    from_tag: str
    cseq: int
    calls_max: int


class CallClaimed(ControlAnswer, frozen=True, kw_only=True, tag=60):
    """He may, or may not."""

    granted: bool
    calls: int = 0
    """As many as are counted now."""


class ReleaseCall(ControlRequest, frozen=True, kw_only=True, tag=61):
    """A claimed INVITE was refused: there is no call. Answered by `Done`."""

    aor: str
    call_id: str
    from_tag: str
    cseq: int
