"""Keeps the farm's settings, and tells the node's parts when they change.

In: settings from the operator and from peers (`DocumentKeeper`). Out: the same settings on every
node's disk, and a call of `changed`. Counterpart: the same module on every other node.
"""

import logging
from collections.abc import Callable
from typing import Final

from overlay.base.errors import ProtocolError
from overlay.identity.operator import Operator
from overlay.links.farm_messages import AskSettings, SettingsAre, SettingsChanged
from overlay.links.network import Transport
from overlay.observe.figures import gauge
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
    row=SettingsRow,
    question=AskSettings,
    answer=SettingsAre,
    announcement=SettingsChanged,
)


class SettingsKeeper(DocumentKeeper[SettingsRecord]):
    """The settings in force at one node."""

    FIGURES = (
        gauge(
            "sipfarm_settings_version",
            "The version of the farm's settings that is in force, 0 for none",
            lambda keeper: keeper.current.version,
        ),
    )

    kind = SETTINGS

    def __init__(
        self,
        operator: Operator,
        transport: Transport,
        linked: Callable[[], list[NodeInfo]],
        committer: Committer,
        changed: Callable[[FarmSettings], None],
    ) -> None:
        """`changed` is called with the settings at the start, and whenever newer settings come."""
        super().__init__(operator, transport, linked, committer)
        self._changed = changed

    async def start(self) -> None:
        """Put the settings on disk in force; raises `StorageError`."""
        self.current = await self._stored()
        self._put_in_force(self.current)

    def _put_in_force(self, document: SettingsRecord) -> None:
        try:
            self._changed(settings.content(document))
        except ProtocolError as error:
            # These settings are for newer nodes than this one. The node keeps them and passes them
            # on, but goes on with the settings that were in force.
            log.error("version %d of the settings: %s", document.version, error)
            return
        if document.version:
            log.info("version %d of the farm's settings is in force", document.version)
