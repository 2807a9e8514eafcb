"""Writes one record to a quorum of its replicas.

In: the record, its replicas, and whether this node's own copy was stored. Out: once, whether the
quorum is won or lost. Counterparts: `fanout.py` sends; `quorum.py` counts; `registrations.py`,
`events.py` and `subscribers.py` decide what is written, and what follows from the outcome.
"""

from collections.abc import Callable, Sequence

from overlay.base.errors import StorageError
from overlay.links.peer_protocol import PeerReply
from overlay.links.record_messages import Store, Stored
from overlay.records.node_info import NodeInfo
from overlay.replication.fanout import Fanout
from overlay.replication.quorum import Outcome, Votes
from overlay.replication.replicas import Replicas


class QuorumWrite:
    """The write of one record.

    The caller constructs it and calls `start`. If this node is a replica, the caller then calls
    `own_copy`.
    """

    __slots__ = (
        "_at_once",
        "_decided",
        "_everybody",
        "_fanout",
        "_heard",
        "_votes",
        "has_own_copy",
    )

    def __init__(
        self,
        replicas: Replicas,
        store: Store,
        nodes: Sequence[NodeInfo],
        needed: int,
        timeout_s: float,
        decided: Callable[[Outcome], None],
        heard: Callable[[PeerReply], None] | None = None,
        *,
        everybody: bool = False,
    ) -> None:
        """`nodes` are the record's replicas, one or more, of which `needed` must store it.

        `decided` is called once, with WON or LOST. `heard` gets each reply before it counts as a
        vote, including replies after the decision. With `everybody`, all replicas are asked at
        once, and the decision waits until the last one has answered.
        """
        others = replicas.others(nodes)
        self._votes = Votes(needed, len(nodes))
        self._decided: Callable[[Outcome], None] | None = decided
        self._heard = heard
        self._everybody = everybody
        self.has_own_copy = len(others) < len(nodes)
        """Whether this node is one of the replicas."""
        self._at_once = len(others) if everybody else needed - self.has_own_copy
        self._fanout = Fanout(replicas, store, others, self.answered, timeout_s)

    @property
    def outcome(self) -> Outcome:
        """How the quorum stands."""
        return self._votes.outcome

    def start(self) -> None:
        """Ask as many other replicas as the quorum needs besides this node's own copy.

        The next replica is asked when one fails or is slow.
        """
        self._fanout.start(self._at_once)

    def own_copy(self, error: StorageError | None = None) -> None:
        """Count this node's own copy as stored, or as failed: then another replica is asked."""
        if error is not None:
            self._fanout.one_more()
        self._vote(error is None)

    def answered(self, reply: PeerReply) -> None:
        """Count the reply of a replica. It can be this node, if it answers in the same way as the
        others."""
        if self._heard is not None:
            self._heard(reply)
        self._vote(isinstance(reply, Stored))

    # inner workings

    def _vote(self, yes: bool) -> None:
        votes = self._votes
        if yes:
            votes.yes += 1
        else:
            votes.no += 1
        outcome = votes.outcome
        if self._decided is None or outcome is Outcome.PENDING:
            return
        if self._everybody and not votes.everybody:
            return
        decided, self._decided = self._decided, None
        self._fanout.finish()
        decided(outcome)
