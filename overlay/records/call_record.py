"""A billing record: what the events of one call come to.

In: `assemble.py` makes it. Out: rows, files and tables, whose columns are its fields.
"""

from overlay.records.billed import CallDescription


class CallRecord(CallDescription, frozen=True):
    """One call's billing record, assembled from its events; ends with what describes the call."""

    call_id: str
    state: str
    """`open` (no STOP), `complete`, `closed` (its BYE never came; it ends with its last proof of
    life), `failed`, `orphan` (a STOP without its START)."""
    caller: str
    callee: str
    request_uri: str
    from_tag: str
    to_tag: str
    answer_us: int
    end_us: int
    duration_ms: int
    """From answer to end; 0 while open."""
    hangup: str
    """`caller`, `callee` or empty."""
    code: int
    nodes: tuple[str, ...]
    """The nodes that wrote its events, in order of time."""
    replicas: tuple[str, ...]
    """The nodes that hold it."""
    levels: tuple[str, ...]
    event_ids: tuple[str, ...]
    cause: str = ""
    """Why it ended: `bye`, `lost-bye`, `refused`; empty while open."""
    reason: str = ""
    """Reason header (RFC 3326) of the BYE."""
