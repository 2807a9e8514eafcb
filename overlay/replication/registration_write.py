"""One change of a registration on its way to its replicas.

In: the record as this node has merged it, and the answers of the others. Out: the record as the
quorum has it, once; or that there is no quorum. Counterpart: `registrations.py`, which decides what
is written, and `replica.py` at the others.
"""

from collections.abc import Callable

import msgspec

from overlay.links.peer_protocol import PeerReply
from overlay.links.record_messages import Stored
from overlay.records import registration
from overlay.records.registration import Registration
from overlay.replication.fanout import Fanout
from overlay.replication.quorum import Outcome, Votes


class RegistrationWrite:
    """The votes on one change; this node's own copy is the first."""

    def __init__(
        self,
        merged: Registration,
        votes: Votes,
        learned: Callable[[Registration], None],
        won: Callable[[Registration], None],
        lost: Callable[[], None],
    ) -> None:
        self._merged = merged
        self._votes = votes
        self._learned = learned
        self._won = won
        self._lost = lost
        self._over = False
        self.fanout: Fanout | None = None

    def spread(self) -> None:
        """This node's proxies and lease holders know."""
        self._vote(True)

    def answered(self, reply: PeerReply) -> None:
        """A replica answered."""
        if isinstance(reply, Stored):
            if reply.body:
                self._learn(reply.body)
            self._vote(True)
        else:
            self._vote(False)

    def _learn(self, body: bytes) -> None:
        try:
            record = registration.decode(body)
            self._learned(record)
        except (msgspec.MsgspecError, ValueError):
            return
        self._merged = registration.merge(self._merged, record)

    def _vote(self, yes: bool) -> None:
        if yes:
            self._votes.yes += 1
        else:
            self._votes.no += 1
        outcome = self._votes.outcome
        if self._over or outcome is Outcome.PENDING:
            return
        self._over = True
        if self.fanout is not None:
            self.fanout.finish()
        if outcome is Outcome.WON:
            self._won(self._merged)
        else:
            self._lost()
