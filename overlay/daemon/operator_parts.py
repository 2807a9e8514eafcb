"""The parts that carry out what the operator has signed: revocations and the farm's settings.

In: a node's base parts. Out: links that are refused; for this node's proxies, the settings, the
gateways that do not answer, and the nodes that are gone. Counterparts:
`overlay.enrollment.revoker`, `overlay.replication.settings_keeper`, `overlay.gateways`.
"""

import asyncio
from collections.abc import Callable

from overlay.daemon.base_parts import BaseParts
from overlay.enrollment.revoker import Revoker
from overlay.gateways import ask_gateway
from overlay.gateways.watching import Gateways
from overlay.records.settings import FarmSettings, Shown
from overlay.replication.settings_keeper import SettingsKeeper


class OperatorParts:
    """The operator parts of one node."""

    def __init__(self, base: BaseParts, end: Callable[[], None]) -> None:
        """`end` is called if this node itself is revoked."""
        config, operator = base.config, base.identity.operator
        linked = base.membership.linked
        self._show = base.parts.show
        self._config = config
        self._lost_names = base.membership.members.lost_names
        self._settings: FarmSettings | None = None
        """None until this node has settings that it understands."""
        self._gone: frozenset[str] = frozenset()
        self._names_due = False
        """Whether a member came or went since the names of the lost nodes were looked at."""
        self.revoker = Revoker(
            base.own_id,
            operator,
            base.identity.revoked,
            base.network,
            linked,
            base.committer,
            end,
        )
        self.gateways = Gateways(
            lambda gateway: ask_gateway.ask(gateway, config), base.parts.chance, self._tell
        )
        self.settings = SettingsKeeper(
            operator, base.network, linked, base.committer, self._settings_changed
        )

    def compare(self, node_id: bytes) -> None:
        """Compare the operator's documents with this peer's, so that both have the newest
        versions."""
        self.revoker.compare(node_id)
        self.settings.compare(node_id)

    def member_changed(self) -> None:
        """Show the proxies the names of the lost nodes, if these have changed."""
        if not self._names_due:
            # Once for all changes of one message, or of one comparison of lists.
            self._names_due = True
            asyncio.get_running_loop().call_soon(self._look_for_lost_names)

    # inner workings

    def _settings_changed(self, settings: FarmSettings) -> None:
        self._settings = settings
        self.gateways.watch(settings)
        self._tell()

    def _look_for_lost_names(self) -> None:
        self._names_due = False
        gone = self._lost_names()
        if gone != self._gone:
            self._gone = gone
            self._tell()

    def _tell(self) -> None:
        if self._settings is not None:
            gone = tuple(sorted(self._gone))
            shown = Shown(settings=self._settings, down=self.gateways.down, gone=gone)
            self._show(self._config, shown)
