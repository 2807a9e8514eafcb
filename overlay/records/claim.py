"""Claims: which calls a subscriber has, or is about to have, at a time.

In: initial INVITEs of subscribers whose calls are limited, refusals of them, and what call records
say. Out: claims that merge, and how many calls each of them stands for. Pure functions.
Counterpart: `overlay.replication.claim_counts` adds them up.

A claim says that a call was begun, and never that one has ended: that its record tells, once the
answer matters. So a claim that is lost makes a limit too high by one call, one that comes back is
looked up once more, and nothing is sent when calls end.
"""

from hashlib import sha1
from typing import Annotated

import msgspec

from overlay.base.joined import joined
from overlay.records.clock import milliseconds

SETUP_MS = 200_000
"""How long a call that is not answered counts, if nobody says that it failed: phones ring for at
most 180 s."""

CSEQS_MAX = 16
"""INVITEs of one call; more are not let pass."""

_Id = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]


class Claim(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One call of one subscriber."""

    call: _Id
    """`claim_id`."""
    call_key: _Id
    """Key of the call's record."""
    changed: int
    """Hybrid logical clock of the replica that decided."""
    cseqs: Annotated[tuple[int, ...], msgspec.Meta(max_length=CSEQS_MAX)]
    """Of its INVITEs that were let pass, and not refused; none: there is no call."""

    def young(self, now_ms: int) -> bool:
        """Whether it may still be ringing."""
        return now_ms < milliseconds(self.changed) + SETUP_MS


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An initial INVITE of a subscriber whose calls are limited."""

    aor: str
    call_id: str
    from_tag: str
    cseq: int


class ClaimDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call may be made."""

    granted: bool
    calls: int
    """As many as are counted now."""


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
    return sha1(joined(call_id, from_tag)).digest()


def again(before: Claim | None, now: Claim) -> Claim:
    """The claim in force when the INVITE of `now` is let pass after those of `before`."""
    sent = before.cseqs if before else ()
    return msgspec.structs.replace(now, cseqs=(*sent, *now.cseqs))


def refused(claim: Claim, cseq: int, changed: int) -> Claim:
    """The claim in force when one of its INVITEs was refused."""
    left = tuple(each for each in claim.cseqs if each != cseq)
    return msgspec.structs.replace(claim, cseqs=left, changed=changed)


def merge(one: Claim, two: Claim) -> Claim:
    """The later of two claims of the same call."""
    return max(one, two, key=lambda claim: (claim.changed, msgspec.structs.astuple(claim)))


def weight(claim: Claim, heard: Heard, *, young: bool) -> int:
    """For how many calls a claim stands; `young`: it may still be ringing.

    Who sends an INVITE again, with another CSeq, may have lost the first one with its node: that is
    one call. Who does so again and again may be after several calls in one, and each counts.
    """
    awaited = 0
    if claim.cseqs and young:
        awaited = max(0, max(1, len(claim.cseqs) - 1) - heard.answered)
    return heard.answered - heard.ended + awaited


def both(one: Heard, two: Heard) -> Heard:
    """What two copies of a record say together: who knows of more is right."""
    return Heard(answered=max(one.answered, two.answered), ended=max(one.ended, two.ended))
