"""Remembers the farm's nodes on disk, so that a node that starts again finds the farm.

In: the members when the node stops. Out: their addresses when it starts. Counterpart:
`membership.py` dials them.
"""

import logging

from overlay.base.errors import SipfarmError
from overlay.membership.members import State
from overlay.membership.membership import Membership
from overlay.observe.part import Part
from overlay.storage.committer import Committer
from overlay.storage.rows import Peers

log = logging.getLogger(__name__)


class RememberedPeers(Part):
    """The peers that one node remembers."""

    def __init__(self, membership: Membership, committer: Committer) -> None:
        self._membership = membership
        self._committer = committer

    async def stop(self) -> None:
        """Store the members, without the nodes that left for good."""
        members = self._membership.members
        infos = tuple(member.info for member in members if member.state is not State.LEFT)
        try:
            await self._committer.commit_wait(Peers(peers=infos))
        except SipfarmError as error:
            log.error("peers cannot be remembered: %s", error)
