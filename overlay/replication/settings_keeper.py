"""Keeps the farm's settings: learns of newer ones, stores them, tells everybody, shows them.

In: settings from the operator (control socket), versions that peers announce. Out: the same on
every node's disk; `changed` is called. Counterpart: the same on every other node.

They spread as lists of revoked nodes do (`overlay.enrollment.revoker`): announced to all that are
linked, asked for by who lacks them, and compared whenever a link comes up and with the lists of
members.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from overlay.base import tasks
from overlay.base.errors import ForgedError, ProtocolError, StorageError
from overlay.identity.operator import Operator
from overlay.links.farm_messages import AskSettings, SettingsAre, SettingsChanged
from overlay.links.network import Transport
from overlay.links.peer_part import Handlers, PeerPart, replies
from overlay.links.peer_protocol import Ack, Failed, PeerReply
from overlay.observe.figures import gauge
from overlay.records import settings
from overlay.records.node_info import NodeInfo
from overlay.records.settings import FarmSettings, SettingsRecord
from overlay.storage.committer import Committer
from overlay.storage.rows import SettingsRow

log = logging.getLogger(__name__)

ASK_TIMEOUT_S: Final = 2.0
ASKED_AT_ONCE_MAX: Final = 3
"""Peers that are asked for settings at a time, however many announce them."""


class SettingsKeeper(PeerPart):
    """The settings in force at one node."""

    FIGURES = (
        gauge(
            "sipfarm_settings_version",
            "The version of the farm's settings that is in force, 0 for none",
            lambda keeper: keeper.current.version,
        ),
    )

    def __init__(
        self,
        operator: Operator,
        transport: Transport,
        linked: Callable[[], list[NodeInfo]],
        committer: Committer,
        changed: Callable[[FarmSettings], None],
    ) -> None:
        self._operator = operator
        self._transport = transport
        self._linked = linked
        self._committer = committer
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = 0
        self.current: SettingsRecord = settings.NONE
        self.refused = 0
        """Settings that were not the operator's."""

    async def start(self) -> None:
        """Take up what is on disk, which is checked like anything else; raises `StorageError`."""
        stored = await self._committer.read(lambda db: db.settings())
        if stored:
            try:
                self.current = settings.admit(stored, self._operator)
            except ForgedError as error:
                log.error("the settings on disk cannot be used: %s", error)
        self._put_in_force()

    async def stop(self) -> None:
        """End every task."""
        await tasks.end(self._tasks)

    def requests(self) -> Handlers:
        return (
            replies(AskSettings, lambda _, asked: self.answer(asked)),
            replies(SettingsChanged, self.announced),
        )

    async def take(self, body: bytes) -> bool:
        """Settings from the operator or a peer: check, put in force, announce, store.

        False if they are those in force or older ones. Raises `ForgedError` if they are not the
        operator's, and `StorageError` when they are in force but not on disk.
        """
        try:
            record = settings.admit(body, self._operator)
        except ForgedError:
            self.refused += 1
            raise
        if record.version <= self.current.version:
            return False
        self.current = record
        self._put_in_force()
        self._announce()
        await self._committer.commit_wait(SettingsRow(body=settings.encode(record)))
        return True

    def answer(self, request: AskSettings) -> PeerReply:
        """What a peer that has version `have` lacks."""
        if self.current.version <= request.have:
            return SettingsAre(body=b"")
        return SettingsAre(body=settings.encode(self.current))

    def announced(self, peer: bytes, announcement: SettingsChanged) -> PeerReply:
        """A peer has this version."""
        if announcement.version > self.current.version and self._asking < ASKED_AT_ONCE_MAX:
            self._spawn(self._ask(peer))
        return Ack()

    def compare(self, peer: bytes) -> None:
        """What does this peer know? Its link is up, or lists of members are compared with it."""
        self._spawn(self._ask(peer))

    # inner workings

    def _put_in_force(self) -> None:
        try:
            self._changed(settings.content(self.current))
        except ProtocolError as error:
            # Made for newer nodes than this: kept and passed on, and what was in force stays so.
            log.error("version %d of the settings: %s", self.current.version, error)
            return
        if self.current.version:
            log.info("version %d of the farm's settings is in force", self.current.version)

    def _announce(self) -> None:
        changed = SettingsChanged(version=self.current.version)
        for info in self._linked():
            self._transport.ask(info.node_id, changed, ASK_TIMEOUT_S)

    async def _ask(self, peer: bytes) -> None:
        self._asking += 1
        try:
            question = AskSettings(have=self.current.version)
            reply = await self._transport.ask(peer, question, ASK_TIMEOUT_S)
            if isinstance(reply, SettingsAre) and reply.body:
                await self.take(reply.body)
            elif isinstance(reply, Failed):
                log.debug("%s does not tell its settings: %s", peer.hex(), reply.reason)
        except ForgedError as error:
            log.warning("%s sent %s", peer.hex(), error)
        except StorageError as error:
            log.error("the settings cannot be stored: %s", error)
        finally:
            self._asking -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
