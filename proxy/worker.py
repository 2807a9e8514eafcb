"""All that a route needs in one Kamailio worker process.

In: Kamailio, the node's settings and the client of the daemon, put together once a process by
`main.py`. Out: the `Worker` that every route gets. It holds nothing that another worker or node
would need.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from overlay.records.targets import Target
from proxy.kept_targets import KeptTargets
from proxy.ksr import Ksr
from proxy.load import Load
from proxy.overlay_client import OverlayClient
from proxy.settings import Settings
from proxy.shown_settings import ShownSettings
from proxy.source_quota import (
    BYTES_FOR_A_REQUEST,
    FLOWS_FOR_A_REQUEST,
    PERIOD_S,
    SourceQuota,
)
from proxy.trunk_choice import GatewayTarget

LOG_INTERVAL_S: Final = 1.0
LOG_KINDS_MAX: Final = 100


class RateLimitedLog:
    """A log of one line a second of each kind, which counts the lines that it kept back."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._next_s: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def line(self, kind: str, text: str) -> None:
        """Write `text` unless a line of this kind was just written."""
        now_s = self._clock()
        if now_s < self._next_s.get(kind, 0.0):
            self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
            return
        if len(self._next_s) >= LOG_KINDS_MAX:
            self._next_s.clear()
        self._next_s[kind] = now_s + LOG_INTERVAL_S
        kept_back = self._kept_back.pop(kind, 0)
        more = f" ({kept_back} more of this kind since the last line)" if kept_back else ""
        self._write(f"{text}{more}\n")


@dataclass(kw_only=True, slots=True)
class Worker:
    """The parts that a worker uses, and the little that it remembers."""

    ksr: Ksr
    settings: Settings
    overlay: OverlayClient
    log: RateLimitedLog
    clock: Callable[[], float] = time.monotonic
    events_safe: dict[bytes, None] = field(default_factory=dict)
    """Ids of the call events that the daemon has made safe, the oldest first."""
    unwritable_until_s: float = 0.0
    """Until when new calls count as unbillable, since an event could not be written."""
    relays_out_until_s: float = 0.0
    """Until when no RTP relay is asked, since none had answered."""
    branches: tuple[Target, ...] = ()
    """Targets of the fork that is being sent, for the branch route; empty at any other time."""
    breadths: tuple[int, ...] = ()
    """Max-Breadth (RFC 5393) of the branches that are new, which are the last of `branches`."""
    record_routed_tag: str | None = None
    """From tag for the Record-Route of the fork's branches; None if they get no Record-Route."""
    call_claimed: bool = False
    """Whether the request counts among its subscriber's calls until it is refused
    (`routes/claims.py`)."""
    caller: str = ""
    """Address-of-record of the subscriber who proved to have sent the request; empty if nobody
    did."""
    asserted: str = ""
    """The sender's identity as a URI: the farm vouches for it, or a trusted peer does (RFC
    3325)."""
    gateway_target: GatewayTarget | None = None
    """The attempt at a gateway that is being sent, for the branch route; None at any other time."""
    requests_quota: SourceQuota = field(init=False)
    """What is left for each address of the memory for requests, in bytes."""
    flows_quota: SourceQuota = field(init=False)
    """How many more flows this worker remembers for each address."""
    load: Load = field(default_factory=lambda: Load((), 0.0, time.monotonic))
    """How far the node is behind with its work."""
    shown: ShownSettings = field(init=False)
    """The farm's settings, as the daemon last wrote them."""
    kept: KeptTargets = field(init=False)
    """The targets that Redis named lately and would name again."""

    def __post_init__(self) -> None:
        config = self.settings.config
        self.shown = ShownSettings(config.settings_file, self.clock)
        self.kept = KeptTargets(config.generations_file, self.clock)
        proxy = config.proxy
        per_s = proxy.source_requests_per_s_max
        self.requests_quota = SourceQuota(per_s * BYTES_FOR_A_REQUEST, PERIOD_S, self.clock)
        self.flows_quota = SourceQuota(per_s * FLOWS_FOR_A_REQUEST, proxy.expires_max_s, self.clock)

    def count(self, name: str) -> None:
        """Add one to a counter of `proxy.counters`."""
        self.ksr.counters.inc(name)
