"""The messages between nodes that concern the farm as a whole.

They tell the status of each node, the operator's decisions, who is locked out, and which node
drains. Counterparts: `overlay.control.local`, `overlay.enrollment.revoker`,
`overlay.replication.settings_keeper`, `overlay.control.lockouts`, `overlay.maintenance`.
"""

from typing import Annotated

import msgspec

from overlay.links.peer_protocol import Capability, PeerReply, PeerRequest


class Described(PeerReply, frozen=True, kw_only=True, tag=22):
    """A `NodeStatus`, encoded: the answer to `DescribeNode`."""

    body: bytes


class DescribeNode(PeerRequest, frozen=True, kw_only=True, tag=21):
    """Asks the receiver for its status."""

    answered_by = Described


class RevocationsAre(PeerReply, frozen=True, kw_only=True, tag=31):
    """The revocation list (`overlay.identity.revocations`); empty if the answerer has no newer
    one."""

    body: bytes


class AskRevocations(PeerRequest, frozen=True, kw_only=True, tag=30):
    """Asks for the revocation list, if the receiver has a newer version than this one."""

    answered_by = RevocationsAre
    upkeep = True

    have: int


class RevocationsChanged(PeerRequest, frozen=True, kw_only=True, tag=32):
    """The sender has this version of the revocation list."""

    upkeep = True

    version: int


class SettingsAre(PeerReply, frozen=True, kw_only=True, tag=91):
    """The farm's settings (`overlay.records.settings`); empty if the answerer has no newer ones."""

    body: bytes


class AskSettings(PeerRequest, frozen=True, kw_only=True, tag=90):
    """Asks for the farm's settings, if the receiver has a newer version than this one."""

    answered_by = SettingsAre
    needs = Capability.SETTINGS
    upkeep = True

    have: int


class SettingsChanged(PeerRequest, frozen=True, kw_only=True, tag=92):
    """The sender has this version of the farm's settings."""

    needs = Capability.SETTINGS
    upkeep = True

    version: int


class Lockout(PeerRequest, frozen=True, kw_only=True, tag=96):
    """This user is locked out from an address; an empty user means everybody at that address."""

    needs = Capability.LOCKOUTS

    aor: str
    address: str
    seconds: int
    """How long the lockout lasts; 0 ends it."""


class LeaseIs(PeerReply, frozen=True, kw_only=True, tag=71):
    """Tells for which node the answerer keeps the lease: for the sender, or for another node."""

    granted: bool
    name: str = ""
    """The node that has the lease instead of the sender."""
    held: bool = False
    """False: that node only asks for the lease."""
    age_ms: int = 0


class AskLease(PeerRequest, frozen=True, kw_only=True, tag=70):
    """The sender wants the farm's maintenance lease."""

    answered_by = LeaseIs
    needs = Capability.MAINTENANCE

    held: bool = False
    """The sender has the lease already, and renews it."""
    forced: bool = False
    """The sender takes the lease whichever node has it, since the operator said so."""
    age_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    """For how long the sender has had the lease."""


class EndLease(PeerRequest, frozen=True, kw_only=True, tag=72):
    """The sender no longer has the maintenance lease, or no longer wants it."""

    needs = Capability.MAINTENANCE


class LeaseKept(PeerRequest, frozen=True, kw_only=True, tag=73):
    """The sender keeps the maintenance lease for the receiver. The receiver may have got it in an
    earlier run, which is over."""

    needs = Capability.MAINTENANCE
