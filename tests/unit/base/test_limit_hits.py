"""Every bound whose hits are counted is in limits.py, in the documentation and in the metrics."""

import contextlib
import re
from pathlib import Path

from overlay.base import limit_hits, limits
from overlay.base.errors import ProtocolError
from overlay.base.frames import FrameBuffer
from overlay.observe.metrics import Metrics

OVERLAY = Path(limits.__file__).parents[1]
HIT = re.compile(r'(?:limit_hits\.hit\(|_busy\([a-z.]+, |FrameBuffer\(\w+, )"([A-Z_]+)"')
ROW = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)


def test_the_documentation_has_all_of_them() -> None:
    source = "".join(path.read_text() for path in sorted(OVERLAY.rglob("*.py")))
    counted = set(HIT.findall(source))
    assert counted
    assert [name for name in counted if not hasattr(limits, name)] == []
    assert set(ROW.findall((OVERLAY / "DESIGN.md").read_text())) == counted


def test_prometheus_sees_a_hit() -> None:
    metrics, name = Metrics(), "control_request_bytes"
    before = metrics.registry.get_sample_value("sipfarm_limit_hits_total", {"limit": name}) or 0
    with contextlib.suppress(ProtocolError):
        FrameBuffer(10, "CONTROL_REQUEST_BYTES_MAX").feed(b"\xff" * 4)
    after = metrics.registry.get_sample_value("sipfarm_limit_hits_total", {"limit": name})
    assert after == before + 1
    assert limit_hits.counted()["CONTROL_REQUEST_BYTES_MAX"] >= 1
