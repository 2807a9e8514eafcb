"""The flows that are pinged, in a file, so that a Kamailio that starts again goes on at once.

In: flows with the second until which they are bound. Out: those of them that still are.
Counterpart: `routes/pings.py`. The file is with the sockets, in memory on most systems: after the
reboot of a node a NAT has forgotten its flows. The clock is the monotonic one, which outlives a
process.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

BYTES_MAX: Final = 64 << 20

PingedFlow = tuple[float, str]
"""Until when it is bound, s; the Contact."""


def write(path: Path, flows: Mapping[str, PingedFlow]) -> None:
    """Store the flows by their keys, all or nothing; raises `OSError`."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(flows))
    os.replace(temporary, path)


def read(path: Path, now_s: float) -> dict[str, PingedFlow]:
    """The flows that are still bound; none if there is no such file, or none that can be read."""
    try:
        with path.open("rb") as file:
            flows = msgspec.json.decode(file.read(BYTES_MAX), type=dict[str, PingedFlow])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {key: flow for key, flow in flows.items() if flow[0] > now_s}


def encode(flow: PingedFlow) -> str:
    """A flow as a value of a htable."""
    return f"{flow[0]:.0f} {flow[1]}"


def decode(text: str) -> PingedFlow:
    """The flow of `encode`."""
    until, _, contact = text.partition(" ")
    return float(until), contact
