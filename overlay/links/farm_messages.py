"""What nodes say to each other of the farm as a whole: how each node is, what its operator has
decided, who is locked out, which node drains.

Counterparts: `overlay.control.local`, `overlay.enrollment.revoker`,
`overlay.replication.settings_keeper`, `overlay.control.lockouts`, `overlay.maintenance`.
"""

from typing import Annotated

import msgspec

from overlay.links.peer_protocol import Capability, PeerReply, PeerRequest


class Described(PeerReply, frozen=True, kw_only=True, tag=22):
    """A control `NodeStatus`."""

    body: bytes


class DescribeNode(PeerRequest, frozen=True, kw_only=True, tag=21):
    """How are you?"""

    answered_by = Described


class RevocationsAre(PeerReply, frozen=True, kw_only=True, tag=31):
    """The list (`overlay.identity.revocations`); empty if there is no newer one."""

    body: bytes


class AskRevocations(PeerRequest, frozen=True, kw_only=True, tag=30):
    """Have you a newer revocation list than this version?"""

    answered_by = RevocationsAre
    upkeep = True

    have: int


class RevocationsChanged(PeerRequest, frozen=True, kw_only=True, tag=32):
    """The sender has this version of the revocation list."""

    upkeep = True

    version: int


class SettingsAre(PeerReply, frozen=True, kw_only=True, tag=91):
    """The settings (`overlay.records.settings`); empty if there are no newer ones."""

    body: bytes


class AskSettings(PeerRequest, frozen=True, kw_only=True, tag=90):
    """Have you newer settings of the farm than this version?"""

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
    """This user, or with an empty one anybody, is locked out from an address."""

    needs = Capability.LOCKOUTS

    aor: str
    address: str
    seconds: int
    """0: no longer."""


class LeaseIs(PeerReply, frozen=True, kw_only=True, tag=71):
    """The answerer keeps it for the sender, or for somebody else."""

    granted: bool
    name: str = ""
    """Who has it instead."""
    held: bool = False
    """False: that node only asks for it."""
    age_ms: int = 0


class AskLease(PeerRequest, frozen=True, kw_only=True, tag=70):
    """The sender wants the farm's maintenance lease."""

    answered_by = LeaseIs
    needs = Capability.MAINTENANCE

    held: bool = False
    """It has it, and renews it."""
    forced: bool = False
    """By the operator's word, whoever has it."""
    age_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    """For how long it has had it."""


class EndLease(PeerRequest, frozen=True, kw_only=True, tag=72):
    """The sender does not have, or want, the maintenance lease any more."""

    needs = Capability.MAINTENANCE


class LeaseKept(PeerRequest, frozen=True, kw_only=True, tag=73):
    """The sender keeps the maintenance lease for the receiver, perhaps for a run of it that is
    over."""

    needs = Capability.MAINTENANCE
