"""Writes the farm's settings to a file, which the node's proxies read when it has changed.

In: the settings, and what this node knows of gateways. Out: the file. It is never half written, and
only the daemon's user and group can read it, as it contains passwords. Counterpart:
`proxy/shown_settings.py`.
"""

import logging
import os
from pathlib import Path

from overlay.records import settings
from overlay.records.settings import Shown

log = logging.getLogger(__name__)

_MODE = 0o640


def write(path: Path, shown: Shown) -> None:
    """Replace the file. If that fails, the old file stays and the error is logged."""
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(settings.encode_shown(shown))
        new.rename(path)
    except OSError as error:
        log.error("the proxies cannot be told of the settings: %s", error)
