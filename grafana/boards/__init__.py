"""The boards: which figures are shown, and what they tell.

In: figures that sipfarm declares (docs/metrics.md), thresholds. Out: `BOARDS`. Counterparts:
`grafana.building`.
"""

from typing import Final

from grafana.board import Board
from grafana.boards import billing, dns, farm, node, overlay, sip

BOARDS: Final[tuple[Board, ...]] = (
    farm.BOARD,
    node.BOARD,
    sip.BOARD,
    overlay.BOARD,
    billing.BOARD,
    dns.BOARD,
)
