"""From where on a figure is to be looked at, and from where on it is bad: all of it, in one place.

In: nothing. Out: the colours of the boards. Counterparts: `boards/`.
"""

from typing import Final

from grafana.board import Marks

_DAY_S: Final = 86_400.0

MUST_BE_THERE: Final = Marks(warning=1, critical=0.5)
"""1 is well, 0 is not."""
NODES_DOWN: Final = Marks(warning=1, critical=2)
"""A farm with three copies of everything stands one lost node; the second is one too many."""
ANY: Final = Marks(warning=1, critical=10)
"""There should be none; a few of them are a broken disk."""
CERTIFICATE_LEFT_S: Final = Marks(warning=21 * _DAY_S, critical=3 * _DAY_S)
DISK_FREE_BYTES: Final = Marks(warning=10 * 2.0**30, critical=2.0**30)
OPEN_FILES: Final = Marks(warning=0.6, critical=0.8)
"""Of those that the process may open."""
SHARED_MEMORY: Final = Marks(warning=0.7, critical=0.9)
"""Of Kamailio's."""
HEALTH_SCORE: Final = Marks(warning=1, critical=4)
JOURNAL_EVENTS: Final = Marks(warning=100, critical=1_000)
"""Call events on too few disks: they wait for another node."""
EXPORT_LAG_S: Final = Marks(warning=600, critical=3_600)
CONTROL_S: Final = Marks(warning=0.1, critical=0.5)
"""The daemon's answer to the proxy, 99 of 100: a phone sends its request again after 0.5 s."""
REFUSED_SHARE: Final = Marks(warning=0.01, critical=0.05)
"""Of what was asked for."""
NEVER: Final = Marks(warning=0.001, critical=1)
"""A second: whatever it counts should not happen at all."""
