"""Claims: a claim says that a subscriber has begun a call, which counts against the limit of calls
at a time.

In: initial INVITEs of subscribers whose calls are limited, refusals of them, and what call records
say. Out: claims that merge, and for how many calls each claim counts. Pure functions. Counterpart:
`overlay.replication.claim_counts` adds them up.

A claim never says that the call has ended: the call's record says that, and is read when the answer
matters. So a claim that is lost makes a limit too high by one call, a claim that comes back is
looked up once more, and no message is sent when a call ends.
"""

from hashlib import sha1
from typing import Annotated

import msgspec

from overlay.base.joined import joined
from overlay.records.clock import milliseconds

SETUP_MS = 200_000
"""How long, in ms, a call without an answer counts if no refusal of it arrives: phones ring for at
most 180 s."""

CSEQS_MAX = 16
"""INVITEs of one call that are let pass. More are refused."""

_Id = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]


class Claim(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One call of one subscriber."""

    call: _Id
    """The 20 bytes of `claim_id`."""
    call_key: _Id
    """The key of the call's record."""
    changed: int
    """The hybrid logical clock of the replica that decided."""
    cseqs: Annotated[tuple[int, ...], msgspec.Meta(max_length=CSEQS_MAX)]
    """The CSeqs of the call's INVITEs that were let pass and not refused. None: there is no
    call."""

    def young(self, now_ms: int) -> bool:
        """Whether the call may still be ringing."""
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
    """How many calls of the subscriber count now."""


class Heard(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the record of a claimed call says of it."""

    answered: int = 0
    """How many of its dialogs have begun: two where a fork was answered twice."""
    ended: int = 0
    """How many of these dialogs are over."""


NOTHING = Heard()


def claim_id(call_id: str, from_tag: str) -> bytes:
    """What identifies a call of a subscriber. An INVITE that is sent again has the same id, even at
    another node and after another challenge: only its CSeq grows."""
    return sha1(joined(call_id, from_tag)).digest()


def again(before: Claim | None, now: Claim) -> Claim:
    """The claim in force when the INVITE of `now` is let pass after those of `before`."""
    sent = before.cseqs if before else ()
    return msgspec.structs.replace(now, cseqs=(*sent, *now.cseqs))


def refused(claim: Claim, cseq: int, changed: int) -> Claim:
    """The claim in force when the INVITE with this CSeq was refused."""
    left = tuple(each for each in claim.cseqs if each != cseq)
    return msgspec.structs.replace(claim, cseqs=left, changed=changed)


def merge(one: Claim, two: Claim) -> Claim:
    """The later of two claims of the same call."""
    return max(one, two, key=lambda claim: (claim.changed, msgspec.structs.astuple(claim)))


def weight(claim: Claim, heard: Heard, *, young: bool) -> int:
    """For how many calls a claim counts. `young` says that the call may still be ringing.

    A phone that sends an INVITE again, with another CSeq, may have lost the first one together with
    its node: that is one call. A phone that does so again and again may be trying to make several
    calls as one, so each further INVITE counts.
    """
    awaited = 0
    if claim.cseqs and young:
        awaited = max(0, max(1, len(claim.cseqs) - 1) - heard.answered)
    return heard.answered - heard.ended + awaited


def both(one: Heard, two: Heard) -> Heard:
    """What two copies of a record say together: the copy that knows of more dialogs is right."""
    return Heard(answered=max(one.answered, two.answered), ended=max(one.ended, two.ended))
