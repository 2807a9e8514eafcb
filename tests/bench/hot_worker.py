"""A KEMI script that only times lookups in the node's cache.

In: any request; a job in JSON, in the file that `SIPFARM_BENCH_JOB` names. Out: latencies, in the
file that the job names. Counterpart: `lookup.py`, which starts a Kamailio with the node's own
configuration and this script in the place of `proxy/main.py`. The lookup is that of the proxy.
"""

import json
import site
import sys
import time
from pathlib import Path
from typing import Any

import KSR

# Before the packages of the system's Python, as in `proxy/main.py`.
_before = list(sys.path)
site.addsitedir(KSR.kx.get_def("SIPFARM_SITE_PACKAGES"))
sys.path[:] = [path for path in sys.path if path not in _before] + _before

from overlay.base.errors import UnavailableError  # noqa: E402
from proxy.ksr import kamailio  # noqa: E402
from proxy.overlay_client import OverlayClient  # noqa: E402
from proxy.routes import location  # noqa: E402
from proxy.settings import Settings  # noqa: E402
from proxy.worker import RateLimitedLog, Worker  # noqa: E402


class Nobody:
    """In the daemon's place: what is not in the cache is to be seen as missing."""

    def ask(self, _request: object, _deadline_s: float) -> Any:
        """No answer."""
        raise UnavailableError("only the cache is asked")


class Measuring:
    """The entry points."""

    def __init__(self) -> None:
        ksr = kamailio()
        self._worker = Worker(
            ksr=ksr,
            settings=Settings.from_defines(ksr.kx.get_def),
            overlay=OverlayClient(Nobody(), ksr.counters.inc),
            log=RateLimitedLog(ksr.crit, time.monotonic),
        )

    def child_init(self, _rank: int) -> int:
        """Nothing is to be done in a worker."""
        return 0

    def ksr_request_route(self, _message: object) -> int:
        """Look everybody up with a clock in the hand: the first time Redis is asked, the second
        time the worker knows."""
        job = json.loads(Path(KSR.kx.get_def("SIPFARM_BENCH_JOB")).read_text())
        result = Path(job["result"])
        if result.exists():
            # Asked again before the answer was seen; all is kept by now.
            return 1
        first_us, missing = self._timed(job["aors"])
        kept_us, _ = self._timed(job["aors"])
        unfinished = result.with_suffix(".part")
        unfinished.write_text(
            json.dumps({"redis_us": first_us, "kept_us": kept_us, "missing": missing})
        )
        unfinished.rename(result)
        return 1

    def _timed(self, aors: list[str]) -> tuple[list[float], int]:
        latencies_us, missing = [], 0
        for aor in aors:
            began_ns = time.perf_counter_ns()
            targets = location.find(self._worker, aor)
            latencies_us.append((time.perf_counter_ns() - began_ns) / 1000)
            missing += not isinstance(targets, tuple)
        return latencies_us, missing

    def ksr_reply_route(self, _message: object) -> int:
        """There are none."""
        return 1

    def ksr_onsend_route(self, _message: object) -> int:
        """Nothing is sent."""
        return 1


def mod_init() -> Measuring:
    """Called once by Kamailio, before it forks."""
    return Measuring()
