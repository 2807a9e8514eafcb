"""Keeps revoked nodes out: learns of lists, stores the newest, tells everybody, shuts the door.

In: lists from the operator (control socket), versions that peers announce. Out: closed links,
refused ones, announcements. Counterpart: the same on every other node.

A node that takes a newer list announces its version to all that it is linked to, and who lacks it
asks for it. Peers compare versions whenever a link comes up, and with the lists of members, so that
a lost announcement costs seconds at the most.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from overlay.base import tasks
from overlay.base.errors import ForgedError, IdentityError, StorageError
from overlay.identity import revocations
from overlay.identity.operator import Operator
from overlay.identity.revocations import Revocations
from overlay.links.farm_messages import AskRevocations, RevocationsAre, RevocationsChanged
from overlay.links.network import Transport
from overlay.links.peer_part import Handlers, PeerPart, replies
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.observe.figures import gauge
from overlay.records.node_info import NodeInfo
from overlay.storage.committer import Committer
from overlay.storage.rows import RevocationsRow

log = logging.getLogger(__name__)

ASK_TIMEOUT_S: Final = 2.0
ASKED_AT_ONCE_MAX: Final = 3
"""Peers that are asked for a list at a time, however many announce one."""


class Revoker(PeerPart):
    """The list in force at one node."""

    FIGURES = (
        gauge(
            "sipfarm_revoked_nodes",
            "Nodes on the list of revoked nodes",
            lambda revoker: len(revoker.current.node_ids),
        ),
        gauge(
            "sipfarm_revocations_version",
            "The version of the list of revoked nodes that is in force",
            lambda revoker: revoker.current.version,
        ),
    )

    def __init__(
        self,
        own_id: bytes,
        operator: Operator,
        given: Revocations,
        transport: Transport,
        linked: Callable[[], list[NodeInfo]],
        committer: Committer,
        revoked_myself: Callable[[], None],
    ) -> None:
        """`given` is the list that came with the identity."""
        self._own_id = own_id
        self._operator = operator
        self._given = given
        self._transport = transport
        self._linked = linked
        self._committer = committer
        self._revoked_myself = revoked_myself
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = 0
        self.current = revocations.NONE
        self.refused = 0
        """Lists that were not the operator's."""

    async def start(self) -> None:
        """Take up the newer of the list that came with the identity and the one on disk.

        Raises `StorageError`, and `IdentityError` if this node itself is revoked. What is on disk
        is checked like anything else.
        """
        stored = await self._committer.read(lambda db: db.revocations())
        newest = self._given
        if stored:
            try:
                kept = revocations.admit(stored, self._operator)
                newest = max(newest, kept, key=lambda each: each.version)
            except ForgedError as error:
                log.error("the revocation list on disk cannot be used: %s", error)
        if self._own_id in newest.node_ids:
            raise IdentityError("this node was revoked by the operator; it must be enrolled anew")
        if newest.version:
            self._enforce(newest)

    async def stop(self) -> None:
        """End every task."""
        await tasks.end(self._tasks)

    def requests(self) -> Handlers:
        return (
            replies(AskRevocations, lambda _, asked: self.answer(asked)),
            replies(RevocationsChanged, self.announced),
        )

    async def take(self, body: bytes) -> bool:
        """A list from the operator or a peer: check, enforce, store, announce.

        False if it is the one in force or an older one. Raises `ForgedError` if it is not the
        operator's, and `StorageError` when it is in force but not on disk.
        """
        try:
            revoked = revocations.admit(body, self._operator)
        except ForgedError:
            self.refused += 1
            raise
        if revoked.version <= self.current.version:
            return False
        self._enforce(revoked)
        self._announce()
        await self._committer.commit_wait(RevocationsRow(body=revocations.encode(revoked)))
        return True

    def answer(self, request: AskRevocations) -> PeerReply:
        """What a peer that has version `have` lacks."""
        if self.current.version <= request.have:
            return RevocationsAre(body=b"")
        return RevocationsAre(body=revocations.encode(self.current))

    def announced(self, peer: bytes, announcement: RevocationsChanged) -> PeerReply:
        """A peer has this version."""
        if announcement.version > self.current.version:
            self._ask_soon(peer)
        return Ack()

    def compare(self, peer: bytes) -> None:
        """What does this peer know? Its link is up, or lists of members are compared with it."""
        self._ask_soon(peer, always=True)

    # inner workings

    def _enforce(self, revoked: Revocations) -> None:
        self.current = revoked
        log.warning(
            "revocation list %d is in force: %d nodes", revoked.version, len(revoked.node_ids)
        )
        self._transport.shut_out(frozenset(revoked.node_ids))
        if self._own_id in revoked.node_ids:
            log.error("this node has been revoked by the operator")
            self._revoked_myself()

    def _announce(self) -> None:
        changed = RevocationsChanged(version=self.current.version)
        for info in self._linked():
            self._transport.ask(info.node_id, changed, ASK_TIMEOUT_S)

    def _ask_soon(self, peer: bytes, *, always: bool = False) -> None:
        if always or self._asking < ASKED_AT_ONCE_MAX:
            self._spawn(self._ask(peer))

    async def _ask(self, peer: bytes) -> None:
        self._asking += 1
        try:
            question = AskRevocations(have=self.current.version)
            reply = await self._transport.ask(peer, question, ASK_TIMEOUT_S)
            if isinstance(reply, RevocationsAre) and reply.body:
                await self.take(reply.body)
            elif isinstance(reply, Failed):
                log.debug("%s does not tell its revocations: %s", peer.hex(), reply.reason)
        except ForgedError as error:
            log.warning("%s sent %s", peer.hex(), error)
        except StorageError as error:
            log.error("the revocation list cannot be stored: %s", error)
        finally:
            self._asking -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
