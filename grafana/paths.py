"""Where what this folder makes and needs is.

In: nothing. Out: paths. Counterparts: all of this package.
"""

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parent
DASHBOARDS: Final = _FOLDER / "dashboards"
"""What Grafana reads, one file a board."""
VIEWER: Final = _FOLDER / "viewer"
"""The page that draws a dashboard without a Grafana."""
PROVISIONING: Final = _FOLDER / "provisioning"
RUNBOOKS: Final = _FOLDER.parent / "docs" / "runbooks"
