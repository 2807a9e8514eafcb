"""Claims: which calls a subscriber has, or is about to have, at a time.

In: initial INVITEs of subscribers whose calls are limited, refusals of them, and what call records
say. Out: claims that merge, and how many calls each of them stands for. Pure functions.
Counterpart: `overlay.replication.claim_counts` adds them up.

A claim says that a call was begun, and never that one has ended: that its record tells, once the
answer matters. So a claim that is lost makes a limit too high by one call, one that comes back is
looked up once more, and nothing is sent when calls end.
"""

from enum import IntEnum
from hashlib import sha1
from typing import Annotated

import msgspec

from overlay.records.clock import milliseconds

SETUP_MS = 200_000
"""How long a call that is not answered counts, if nobody says that it failed: phones ring for at
most 180 s."""

_Id = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]


class ClaimState(IntEnum):
    """How a claim stands; the number stands in frames and never changes."""

    HELD = 1
    RELEASED = 2
    """The INVITE was refused: there is no call."""


class Claim(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One call of one subscriber."""

    call: _Id
    """`claim_id`."""
    call_key: _Id
    """Key of the call's record."""
    cseq: int
    """Of the INVITE; 0 if that was refused, and an earlier one was not."""
    changed: int
    """Hybrid logical clock of the replica that decided."""
    state: ClaimState = ClaimState.HELD
    tries: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    """INVITEs of this call that were let pass, and not refused."""

    def young(self, now_ms: int) -> bool:
        """Whether it may still be ringing."""
        return now_ms < milliseconds(self.changed) + SETUP_MS


class Heard(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a call's record says of a claimed call."""

    answered: int = 0
    """Its dialogs that began: two where a fork was answered twice."""
    ended: int = 0
    """Those of them that are over."""


NOTHING = Heard()


def claim_id(call_id: str, from_tag: str) -> bytes:
    """What tells a subscriber's calls apart. An INVITE that is sent again, at another node perhaps
    and after another challenge, has the same; only its CSeq grows."""
    return sha1(f"{call_id}\0{from_tag}".encode("utf-8", "surrogateescape")).digest()


def again(before: Claim | None, now: Claim) -> Claim:
    """The claim in force when `now` is let pass after `before`, of the same call."""
    if before is None or before.state is ClaimState.RELEASED:
        return now
    return msgspec.structs.replace(now, tries=before.tries + 1)


def released(claim: Claim, changed: int) -> Claim:
    """The claim in force when its last INVITE was refused: of those before, nobody has said so."""
    if claim.tries > 1:
        return msgspec.structs.replace(claim, tries=claim.tries - 1, cseq=0, changed=changed)
    return msgspec.structs.replace(claim, state=ClaimState.RELEASED, changed=changed)


def merge(one: Claim, two: Claim) -> Claim:
    """The later of two claims of the same call."""
    return max(one, two, key=lambda claim: (claim.changed, msgspec.structs.astuple(claim)))


def weight(claim: Claim, heard: Heard, *, young: bool) -> int:
    """For how many calls a claim stands; `young`: it may still be ringing.

    Who sends an INVITE again with another CSeq may have lost the first one with its node: that is
    one call. Who does so again and again may be after several calls in one, and each counts.
    """
    awaited = 0
    if claim.state is ClaimState.HELD and young:
        awaited = max(0, max(1, claim.tries - 1) - heard.answered)
    return heard.answered - heard.ended + awaited


def both(one: Heard, two: Heard) -> Heard:
    """What two copies of a record say together: who knows of more is right."""
    return Heard(answered=max(one.answered, two.answered), ended=max(one.ended, two.ended))
