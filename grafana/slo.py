"""Service levels and thresholds, as `slo.toml` has them.

In: the file. Out: `Levels`. Counterparts: `grafana.rules`, and whatever else shows a threshold.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

FILE: Final = Path(__file__).with_name("slo.toml")
_SPAN: Final = re.compile(r"[1-9][0-9]*[smhd]")
_UNITS_S: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

Span = Annotated[str, msgspec.Meta(pattern=f"^{_SPAN.pattern}$")]
"""A duration as Prometheus writes it, of one unit."""
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class Windows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A burn rate, and the two windows in which it is to be exceeded."""

    rate: Rate
    long: Span
    short: Span


class Burn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast what a target allows may be spent."""

    period: Span
    fast: Windows
    slow: Windows


class Objective(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What share of events has to be good."""

    text: str
    """What good events are."""
    target: Share
    bad_min: _Count
    """Fewer bad events in the long window are told to nobody."""
    bad: tuple[str, ...]
    """Counters, with selectors, whose sum is the bad events."""
    total: tuple[str, ...]
    """The same of all events."""
    short_of: str
    """Where these differ from what users notice."""

    @property
    def allowed(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.target, 9)


class Late(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long something has to be so before anybody is told."""

    farm_down: Span
    nodes_down: Span
    records: Span
    trunk_down: Span
    node_down: Span
    process_down: Span
    disk_failing: Span
    disk_full: Span
    export: Span
    dns: Span
    split: Span
    overloaded: Span
    memory: Span
    certificate: Span
    versions: Span
    drained: Span


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long something that happened once is told."""

    damage: Span
    errors: Span
    starts: Span


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where on a figure is too high or too low; units are in the names."""

    nodes_down_max: _Count
    certificate_days_min: _Count
    disk_free_bytes_min: _Count
    shared_memory_free_share_min: Share
    descriptors_used_share_max: Share
    export_lag_s_max: _Count
    shed_per_s_max: Rate
    starts_max: _Count


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How soon things are asked for and told."""

    scrape: Span
    evaluate: Span
    group_wait: Span
    group_interval: Span
    repeat_page: Span
    repeat_ticket: Span


class Levels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    runbooks: str
    burn: Burn
    objective: dict[str, Objective]
    late: Late
    told: Told
    limit: Limit
    pace: Pace


def read(path: Path = FILE) -> Levels:
    """What the file says; raises `msgspec.ValidationError` if it is not as it should be."""
    return msgspec.toml.decode(path.read_bytes(), type=Levels)


def seconds(span: Span) -> float:
    """How long a duration is."""
    return int(span[:-1]) * _UNITS_S[span[-1]]


def sped_up(levels: Levels, times: float) -> Levels:
    """The same with every duration divided, to try alerts out in seconds; none is below 1 s."""
    return msgspec.convert(_divided(msgspec.to_builtins(levels), times), Levels)


def _divided(value: Any, times: float) -> Any:
    if isinstance(value, dict):
        return {name: _divided(each, times) for name, each in value.items()}
    if isinstance(value, str) and _SPAN.fullmatch(value):
        return f"{max(1, round(seconds(value) / times))}s"
    return value
