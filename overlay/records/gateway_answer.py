"""What a carrier's gateway answered to OPTIONS.

In: `overlay.gateways.ask_gateway` asks the gateway. Out: one struct, which also stands for silence.
"""

import msgspec


class GatewayAnswer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The answer of a gateway that was asked how it is, or the lack of one."""

    gateway: str
    """The gateway's URI."""
    status: int
    """The status code of the answer; 0 if there was none."""
    reason: str
    """The reason phrase of the answer, or why there is no answer."""
    elapsed_ms: int
