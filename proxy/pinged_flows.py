"""The UDP flows that this node pings, as text: in Kamailio's table, and in a file.

In: flows, with the time at which their binding ends. Out: the flows that are still bound.
Counterpart: `routes/pings.py`.

The file lets a Kamailio that starts again go on at once. It is in the folder of the sockets, in
memory on most systems: after a reboot of the node, the NATs have forgotten its flows anyway. The
clock is the monotonic one, which outlives a process.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

BYTES_MAX: Final = 64 << 20

PingedFlow = tuple[float, str]
"""The time at which the binding ends, in seconds, and the Contact."""


def write(path: Path, flows: Mapping[str, PingedFlow]) -> None:
    """Store the flows by their keys, all or none of them; raises `OSError`."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(flows))
    os.replace(temporary, path)


def read(path: Path, now_s: float) -> dict[str, PingedFlow]:
    """The flows that are still bound; empty if there is no such file, or it cannot be read."""
    try:
        with path.open("rb") as file:
            flows = msgspec.json.decode(file.read(BYTES_MAX), type=dict[str, PingedFlow])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {key: flow for key, flow in flows.items() if flow[0] > now_s}


def encode(flow: PingedFlow) -> str:
    """A flow as a value of Kamailio's table."""
    return f"{flow[0]:.0f} {flow[1]}"


def decode(text: str) -> PingedFlow:
    """The flow that `encode` was given."""
    until, _, contact = text.partition(" ")
    return float(until), contact
