"""Why something was not done, as a value.

In: whoever refuses. Out: the same words in the answers of the control socket and of peers.
"""

import msgspec


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is for programs, `reason` for people.

    `overlay.control.control_protocol.Refused` lists the codes.
    """

    code: str
    reason: str
