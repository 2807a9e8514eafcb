"""Keeps one document that the operator signs: it fetches newer versions, stores and announces them.

In: documents from the operator (control socket), and versions that peers announce. Out: the newest
version, which is in force, on disk, and announced to the peers. Counterpart: the same module on
every other node. `overlay.enrollment.revoker` and `settings_keeper.py` are its two uses.

Every version is a whole document, and the highest version is in force. A node that takes a newer
version announces it to every node that it is linked to. A node that lacks the version then asks for
it. Peers also compare versions whenever a link comes up, and whenever they compare their lists of
members. So a lost announcement costs a few seconds at most.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from overlay.base.errors import ForgedError, StorageError
from overlay.base.tasks import Background
from overlay.identity.operator import Operator
from overlay.links.farm_messages import (
    AskRevocations,
    AskSettings,
    RevocationsAre,
    RevocationsChanged,
    SettingsAre,
    SettingsChanged,
)
from overlay.links.network import Transport
from overlay.links.peer_part import Handlers, PeerPart, replies
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.records.node_info import NodeInfo
from overlay.storage.committer import Committer
from overlay.storage.database import RecordsDatabase
from overlay.storage.rows import RevocationsRow, SettingsRow

log = logging.getLogger(__name__)

ASK_TIMEOUT_S: Final = 2.0
ASKED_AT_ONCE_MAX: Final = 3
"""Peers that a node asks for a document at a time, however many announce one."""


class Versioned(Protocol):
    """A document with a version."""

    @property
    def version(self) -> int:
        """Higher for a later document; 0 if there is none."""


D = TypeVar("D", bound=Versioned)
DocumentQuestion = AskRevocations | AskSettings
DocumentAnswer = RevocationsAre | SettingsAre
DocumentAnnouncement = RevocationsChanged | SettingsChanged


@dataclass(frozen=True, kw_only=True)
class DocumentKind(Generic[D]):
    """How one kind of document is read, stored and sent."""

    name: str
    """The kind's name in the log."""
    none: D
    """The document of version 0, which is in force while there is no other."""
    encode: Callable[[D], bytes]
    admit: Callable[[bytes, Operator], D]
    """Decodes a document; raises `ForgedError` if the operator did not sign it."""
    stored: Callable[[RecordsDatabase], bytes]
    """Reads the body from disk; empty if there is none."""
    row: type[RevocationsRow | SettingsRow]
    """Wraps a body for the write to disk."""
    question: type[DocumentQuestion]
    """The request for a version above the one that the asker has."""
    answer: type[DocumentAnswer]
    """The reply with a body; an empty body says that there is nothing newer."""
    announcement: type[DocumentAnnouncement]
    """The message which says that its sender has this version."""


class DocumentKeeper(PeerPart, Generic[D]):
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
        """Check a document from the operator or a peer, put it in force, announce it and store it.

        Returns False if the document in force is the same or newer. Raises `ForgedError` if the
        operator did not sign it, and `StorageError` if it is in force but not on disk.
        """
        document = self.kind.admit(body, self._operator)
        if document.version <= self.current.version:
            return False
        self.current = document
        self._put_in_force(document)
        self._announce()
        await self._committer.commit_wait(self.kind.row(body=self.kind.encode(document)))
        return True

    def compare(self, peer: bytes) -> None:
        """Ask this peer for a newer version: its link came up, or the lists of members are
        compared."""
        self._tasks.start(self._ask(peer))

    def requests(self) -> Handlers:
        return (
            replies(self.kind.question, lambda _, asked: self.answer(asked)),
            replies(self.kind.announcement, self.announced),
        )

    def answer(self, request: DocumentQuestion) -> PeerReply:
        """The document, if it is newer than the version that the peer has."""
        newer = self.current.version > request.have
        return self.kind.answer(body=self.kind.encode(self.current) if newer else b"")

    def announced(self, peer: bytes, announcement: DocumentAnnouncement) -> PeerReply:
        """Ask the peer for the version that it announced, if it is newer than this node's."""
        if announcement.version > self.current.version and self._asking < ASKED_AT_ONCE_MAX:
            self._tasks.start(self._ask(peer))
        return Ack()

    # inner workings

    @abstractmethod
    def _put_in_force(self, document: D) -> None:
        """Do what the kind needs when `current` becomes this document."""

    async def _stored(self) -> D:
        """The document on disk, checked like any other; `none` if it is forged. Raises
        `StorageError`."""
        body = await self._committer.read(self.kind.stored)
        if body:
            try:
                return self.kind.admit(body, self._operator)
            except ForgedError as error:
                log.error("the %s on disk cannot be used: %s", self.kind.name, error)
        return self.kind.none

    def _announce(self) -> None:
        announcement = self.kind.announcement(version=self.current.version)
        for info in self._linked():
            self._transport.ask(info.node_id, announcement, ASK_TIMEOUT_S)

    async def _ask(self, peer: bytes) -> None:
        self._asking += 1
        try:
            question = self.kind.question(have=self.current.version)
            reply = await self._transport.ask(peer, question, ASK_TIMEOUT_S)
            if isinstance(reply, self.kind.answer):
                if reply.body:
                    await self.take(reply.body)
            elif isinstance(reply, Failed):
                log.debug("%s does not tell its %s: %s", peer.hex(), self.kind.name, reply.reason)
        except ForgedError as error:
            log.warning("%s sent %s", peer.hex(), error)
        except StorageError as error:
            log.error("the %s cannot be stored: %s", self.kind.name, error)
        finally:
            self._asking -= 1
