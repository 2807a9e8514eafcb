"""What a carrier's gateway answered to OPTIONS.

In: `overlay.gateways.ask_gateway` asks. Out: one answer, also for silence.
"""

import msgspec


class GatewayAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What came back from a gateway that was asked how it is."""

    gateway: str
    """Its URI."""
    status: int
    """Of its answer; 0 for none."""
    reason: str
    """The answer's, or why there is none."""
    elapsed_ms: int
