"""Rows for the sinks' tests."""

from overlay.billing.columns import Row


def row(number: int, revision: int = 2, caller: str = "sip:bob@farm.test") -> Row:
    """A complete call."""
    return Row(
        id=f"{number:032x}",
        revision=revision,
        state="complete",
        callid=f"call-{number}",
        from_tag="f",
        to_tag="t",
        caller=caller,
        callee="sip:alice@farm.test",
        request_uri="sip:alice@farm.test",
        start_time="2026-01-02T03:04:05.000006Z",
        end_time="2026-01-02T03:05:06.000006Z",
        duration="61.000",
        hangup="caller",
        cause="bye",
        reason="",
        sip_code=200,
        nodes="n1 n2",
        event_ids="01 02",
    )
