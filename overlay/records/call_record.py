"""A billing record: what the events of one call add up to.

In: `assemble.py` makes it. Out: rows, files and tables, whose columns are its fields.
"""

from overlay.records.billed import CallDescription


class CallRecord(CallDescription, frozen=True):
    """The billing record of one call, assembled from its events. The fields that describe the call
    come last."""

    call_id: str
    state: str
    """`open` (no STOP yet), `complete`, `closed` (its BYE never came, and the record ends with the
    last proof of life), `failed`, or `orphan` (a STOP without its START)."""
    caller: str
    callee: str
    request_uri: str
    from_tag: str
    to_tag: str
    answer_us: int
    end_us: int
    duration_ms: int
    """From the answer to the end, in ms; 0 while the call is open."""
    hangup: str
    """The side that hung up: `caller`, `callee`, or empty if it is not known."""
    code: int
    nodes: tuple[str, ...]
    """The nodes that wrote the call's events, in order of time."""
    replicas: tuple[str, ...]
    """The nodes that hold the call's events."""
    levels: tuple[str, ...]
    event_ids: tuple[str, ...]
    cause: str = ""
    """Why the call ended: `bye`, `lost-bye` or `refused`; empty while it is open."""
    reason: str = ""
    """The Reason header (RFC 3326) of the BYE."""
