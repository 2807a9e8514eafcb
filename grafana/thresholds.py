"""From where on a figure is to be looked at, and from where on it is bad: all of it, in one place.

In: the limits of `slo.toml`, so that a panel is red when its alert is told. Out: the colours of the
boards. Counterparts: `boards/`; `slo.py`.
"""

from typing import Final

from grafana import slo
from grafana.board import Marks

_LIMIT: Final = slo.read().limit
_DAY_S: Final = 86_400.0

MUST_BE_THERE: Final = Marks(warning=1, critical=0.5)
"""1 is well, 0 is not."""
NODES_DOWN: Final = Marks(warning=1, critical=_LIMIT.nodes_down_max + 1)
ANY: Final = Marks(warning=1, critical=10)
"""There should be none; many of them are a broken disk."""
CERTIFICATE_LEFT_S: Final = Marks(warning=_LIMIT.certificate_days_min * _DAY_S, critical=3 * _DAY_S)
DISK_FREE_BYTES: Final = Marks(
    warning=10 * _LIMIT.disk_free_bytes_min, critical=_LIMIT.disk_free_bytes_min
)
OPEN_FILES: Final = Marks(
    warning=0.75 * _LIMIT.descriptors_used_share_max, critical=_LIMIT.descriptors_used_share_max
)
"""Of those that the process may open."""
SHARED_MEMORY: Final = Marks(warning=0.7, critical=1 - _LIMIT.shared_memory_free_share_min)
"""Of Kamailio's."""
HEALTH_SCORE: Final = Marks(warning=1, critical=4)
JOURNAL_EVENTS: Final = Marks(warning=100, critical=1_000)
"""Call events on too few disks: they wait for another node."""
EXPORT_LAG_S: Final = Marks(warning=_LIMIT.export_lag_s_max / 6, critical=_LIMIT.export_lag_s_max)
CONTROL_S: Final = Marks(warning=0.1, critical=0.5)
"""The daemon's answer to the proxy, 99 of 100: a phone sends its request again after 0.5 s."""
REFUSED_SHARE: Final = Marks(warning=0.01, critical=0.05)
"""Of all that was asked."""
TURNED_AWAY: Final = Marks(warning=_LIMIT.shed_per_s_max / 10, critical=_LIMIT.shed_per_s_max)
"""A second."""
NEVER: Final = Marks(warning=0.001, critical=1)
"""A second: whatever it counts should not happen at all."""
