"""Keeps revoked nodes out: refuses every node on the newest revocation list.

In: lists from the operator and from peers (`DocumentKeeper`); the list that came with the identity.
Out: links to revoked nodes are closed and refused; every node gets the same list. Counterpart: the
revokers of all other nodes.
"""

import logging
from collections.abc import Callable
from typing import Final

from overlay.base.errors import IdentityError
from overlay.identity import revocations
from overlay.identity.operator import Operator
from overlay.identity.revocations import Revocations
from overlay.links.farm_messages import AskRevocations, RevocationsAre, RevocationsChanged
from overlay.links.network import Transport
from overlay.observe.figures import gauge
from overlay.records.node_info import NodeInfo
from overlay.replication.document_keeper import DocumentKeeper, DocumentKind
from overlay.storage.committer import Committer
from overlay.storage.rows import RevocationsRow

log = logging.getLogger(__name__)

REVOCATIONS: Final = DocumentKind(
    name="revocation list",
    none=revocations.NONE,
    encode=revocations.encode,
    admit=revocations.admit,
    stored=lambda database: database.revocations(),
    row=RevocationsRow,
    question=AskRevocations,
    answer=RevocationsAre,
    announcement=RevocationsChanged,
)


class Revoker(DocumentKeeper[Revocations]):
    """The revocation list that is in force at one node."""

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

    kind = REVOCATIONS

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
        """`given` is the list that came with the identity.

        `revoked_myself` is called when this node is on the list that is in force.
        """
        super().__init__(operator, transport, linked, committer)
        self._own_id = own_id
        self._given = given
        self._revoked_myself = revoked_myself

    async def start(self) -> None:
        """Take up the newer one of the list that came with the identity and the list on disk.

        Raises `StorageError`, and `IdentityError` if this node itself is revoked.
        """
        newest = max(self._given, await self._stored(), key=lambda each: each.version)
        if self._own_id in newest.node_ids:
            raise IdentityError("this node was revoked by the operator; it must be enrolled anew")
        if newest.version:
            self.current = newest
            self._put_in_force(newest)

    def _put_in_force(self, document: Revocations) -> None:
        log.warning(
            "revocation list %d is in force: %d nodes", document.version, len(document.node_ids)
        )
        self._transport.shut_out(frozenset(document.node_ids))
        if self._own_id in document.node_ids:
            log.error("this node has been revoked by the operator")
            self._revoked_myself()
