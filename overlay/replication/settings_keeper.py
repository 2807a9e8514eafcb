"""Keeps the farm's settings, and tells the node when they change.

In: settings from the operator and from peers (`DocumentKeeper`). Out: the same on every node's
disk; `changed` is called. Counterpart: the same on every other node.
"""

import logging
from collections.abc import Callable
from typing import Final

from overlay.base.errors import ProtocolError
from overlay.identity.operator import Operator
from overlay.links.farm_messages import AskSettings, SettingsAre, SettingsChanged
from overlay.links.network import Transport
from overlay.links.peer_protocol import PeerReply
from overlay.records import settings
from overlay.records.node_info import NodeInfo
from overlay.records.settings import FarmSettings, SettingsRecord
from overlay.replication.document_keeper import DocumentKeeper, DocumentKind
from overlay.storage.committer import Committer
from overlay.storage.rows import SettingsRow

log = logging.getLogger(__name__)

SETTINGS: Final = DocumentKind(
    name="settings",
    none=settings.NONE,
    encode=settings.encode,
    admit=settings.admit,
    stored=lambda database: database.settings(),
    row=lambda body: SettingsRow(body=body),
    question=lambda version: AskSettings(have=version),
    answer=lambda body: SettingsAre(body=body),
    told=lambda reply: reply.body if isinstance(reply, SettingsAre) else b"",
    announcement=lambda version: SettingsChanged(version=version),
)


class SettingsKeeper(DocumentKeeper[SettingsRecord]):
    """The settings in force at one node."""

    kind = SETTINGS

    def __init__(
        self,
        operator: Operator,
        transport: Transport,
        linked: Callable[[], list[NodeInfo]],
        committer: Committer,
        changed: Callable[[FarmSettings], None],
    ) -> None:
        """`changed` is called with the settings at the start and whenever newer ones come."""
        super().__init__(operator, transport, linked, committer)
        self._changed = changed

    async def start(self) -> None:
        """Take up the settings on disk; raises `StorageError`."""
        self.current = await self._stored()
        self._put_in_force(self.current)

    def answer(self, request: AskSettings) -> PeerReply:
        """What a peer that has version `have` lacks."""
        return self._newer_than(request.have)

    def announced(self, peer: bytes, announcement: SettingsChanged) -> PeerReply:
        """A peer has this version."""
        return self._announced(peer, announcement.version)

    def _put_in_force(self, document: SettingsRecord) -> None:
        try:
            self._changed(settings.content(document))
        except ProtocolError as error:
            # Made for newer nodes than this: kept and passed on, and what was in force stays so.
            log.error("version %d of the settings: %s", document.version, error)
            return
        if document.version:
            log.info("version %d of the farm's settings is in force", document.version)
