"""Why something was not done, as a value.

In: the code that refuses. Out: the same words in the answers of the control socket and in those of
peers.
"""

import msgspec


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal: `code` is for programs, `reason` for people.

    `overlay.control.control_protocol.Refused` lists the codes.
    """

    code: str
    reason: str
