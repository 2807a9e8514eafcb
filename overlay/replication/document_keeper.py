"""Keeps one document that the operator signs: learns of newer versions, stores the newest, tells
everybody.

In: documents from the operator (control socket), versions that peers announce. Out: the newest
version in force, on disk, announced. Counterpart: the same on every other node.
`overlay.enrollment.revoker` and `settings_keeper.py` are its two uses.

A document is whole in every version, and the highest version is in force. A node that takes a newer
one announces its version to every node that it is linked to, and a node that lacks it asks for it.
Peers also compare versions whenever a link comes up, and with the lists of members, so that a lost
announcement costs seconds at the most.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from overlay.base.errors import ForgedError, StorageError
from overlay.base.tasks import Background
from overlay.identity.operator import Operator
from overlay.links.network import Transport
from overlay.links.peer_protocol import Ack, Failed, PeerReply, PeerRequest
from overlay.records.node_info import NodeInfo
from overlay.storage.committer import Committer
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import RevocationsRow, SettingsRow

log = logging.getLogger(__name__)

ASK_TIMEOUT_S: Final = 2.0
ASKED_AT_ONCE_MAX: Final = 3
"""Peers that are asked for a document at a time, however many announce one."""


class Versioned(Protocol):
    """What a document has."""

    @property
    def version(self) -> int:
        """Higher for a later one; 0 for none."""


D = TypeVar("D", bound=Versioned)


@dataclass(frozen=True, kw_only=True)
class DocumentKind(Generic[D]):
    """How one kind of document is read, kept and sent."""

    name: str
    """For the log."""
    none: D
    """In force where there is none, with version 0."""
    encode: Callable[[D], bytes]
    admit: Callable[[bytes, Operator], D]
    """Decodes, and raises `ForgedError` for what the operator did not sign."""
    stored: Callable[[RecordsDatabase], bytes]
    """The body on disk, empty if there is none."""
    row: Callable[[bytes], RevocationsRow | SettingsRow]
    """A body on its way to disk."""
    question: Callable[[int], PeerRequest]
    """Asks a peer for a version above this one."""
    answer: Callable[[bytes], PeerReply]
    """Tells a peer the body; empty: nothing newer."""
    told: Callable[[PeerReply], bytes]
    """The body in an answer; empty: nothing newer, or not an `answer`."""
    announcement: Callable[[int], PeerRequest]
    """Tells a peer that this node has this version."""


class DocumentKeeper(ABC, Generic[D]):
    """The document in force at one node."""

    kind: DocumentKind[D]

    def __init__(
        self,
        operator: Operator,
        transport: Transport,
        linked: Callable[[], list[NodeInfo]],
        committer: Committer,
    ) -> None:
        self._operator = operator
        self._transport = transport
        self._linked = linked
        self._committer = committer
        self._tasks = Background()
        self._asking = 0
        self.current = self.kind.none

    async def stop(self) -> None:
        """End every task."""
        await self._tasks.end()

    async def take(self, body: bytes) -> bool:
        """A document from the operator or a peer: check, put in force, announce, store.

        False if it is the one in force or an older one. Raises `ForgedError` if it is not the
        operator's, and `StorageError` when it is in force but not on disk.
        """
        document = self.kind.admit(body, self._operator)
        if document.version <= self.current.version:
            return False
        self.current = document
        self._put_in_force(document)
        self._announce()
        await self._committer.commit_wait(self.kind.row(self.kind.encode(document)))
        return True

    def compare(self, peer: bytes) -> None:
        """What does this peer know? Its link is up, or lists of members are compared with it."""
        self._tasks.start(self._ask(peer))

    # inner workings

    @abstractmethod
    def _put_in_force(self, document: D) -> None:
        """`current` is this document now."""

    async def _stored(self) -> D:
        """The document on disk, which is checked like any other; raises `StorageError`."""
        body = await self._committer.read(self.kind.stored)
        if body:
            try:
                return self.kind.admit(body, self._operator)
            except ForgedError as error:
                log.error("the %s on disk cannot be used: %s", self.kind.name, error)
        return self.kind.none

    def _newer_than(self, version: int) -> PeerReply:
        """What a peer that has this version lacks."""
        newer = self.current.version > version
        return self.kind.answer(self.kind.encode(self.current) if newer else b"")

    def _announced(self, peer: bytes, version: int) -> PeerReply:
        """A peer has this version."""
        if version > self.current.version and self._asking < ASKED_AT_ONCE_MAX:
            self._tasks.start(self._ask(peer))
        return Ack()

    def _announce(self) -> None:
        announcement = self.kind.announcement(self.current.version)
        for info in self._linked():
            self._transport.ask(info.node_id, announcement, ASK_TIMEOUT_S)

    async def _ask(self, peer: bytes) -> None:
        self._asking += 1
        try:
            question = self.kind.question(self.current.version)
            reply = await self._transport.ask(peer, question, ASK_TIMEOUT_S)
            if body := self.kind.told(reply):
                await self.take(body)
            elif isinstance(reply, Failed):
                log.debug("%s does not tell its %s: %s", peer.hex(), self.kind.name, reply.reason)
        except ForgedError as error:
            log.warning("%s sent %s", peer.hex(), error)
        except StorageError as error:
            log.error("the %s cannot be stored: %s", self.kind.name, error)
        finally:
            self._asking -= 1
