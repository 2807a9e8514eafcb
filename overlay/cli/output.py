"""Prints what `sipfarm` has to say: answers on stdout, everything else on stderr.

In: answers of the daemon. Out: a table or text for people; with `--json`, one object a line, whose
keys are the fields of `overlay.control.operator_messages`.
"""

import json
import sys
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec

from overlay.cli.table import printable
from overlay.control.control_protocol import ControlAnswer


def show(text: str) -> None:
    """Print an answer for people."""
    if text:
        print(text)


def show_json(value: object) -> None:
    """Print an answer for programs: one line."""
    print(json.dumps(plain(value)), flush=True)


def note(text: str) -> None:
    """Tell the person at the terminal something that is not the answer."""
    sys.stdout.flush()
    for line in text.splitlines():
        print(f"sipfarm: {printable(line)}", file=sys.stderr)


def plain(value: Any) -> Any:
    """The value as JSON represents it: structs as objects, enums as lower-case names, bytes as
    hex."""
    if isinstance(value, msgspec.Struct):
        hidden = ("id", "deadline_ms") if isinstance(value, ControlAnswer) else ()
        names = (name for name in value.__struct_fields__ if name not in hidden)
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def time_of(time_us: int) -> str:
    """A Unix time in us as ISO 8601, UTC, to the millisecond; empty for 0."""
    if not time_us:
        return ""
    seconds, rest_us = divmod(time_us, 1_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_us} us"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_us // 1000:03}Z"


def duration_of(duration_ms: int) -> str:
    """A duration in ms as `h:mm:ss.mmm`."""
    seconds, rest_ms = divmod(duration_ms, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest_ms:03}"


def age_of(seconds: float) -> str:
    """A long time in s, in its two largest units: `3d4h`, `5m10s`."""
    left = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
