"""The question whether a gateway lives: an OPTIONS request (RFC 3261 11), and its answer.

In: a gateway and this node; the bytes of an answer. Out: the bytes of a request; a status. Pure
functions. Counterpart: `ask_gateway.py` sends and receives the bytes.
"""

import re
from typing import Final

from overlay.base.version import VERSION
from overlay.records.settings import Gateway

BUSY: Final = 503
_STATUS_LINE: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) ([^\r\n]{0,200})\r?\n")


def request(gateway: Gateway, farm: str, sent_by: str, branch: str) -> bytes:
    """The request from the farm to the gateway. The answer will go to `sent_by`."""
    uri = f"sip:{gateway.address};transport={gateway.transport}"
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{gateway.transport.upper()} {sent_by};branch=z9hG4bK{branch};rport",
        "Max-Forwards: 70",
        f"From: <sip:{farm}>;tag={branch}",
        f"To: <sip:{gateway.address}>",
        f"Call-ID: {branch}@{farm}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:{sent_by};transport={gateway.transport}>",
        "Accept: application/sdp",
        f"User-Agent: sipfarm/{VERSION}",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(data: bytes, branch: str) -> tuple[int, str] | None:
    """Status and reason of a final answer to that request; None for any other data."""
    match = _STATUS_LINE.match(data.lstrip(b"\r\n"))
    if match is None or int(match[1]) < 200 or f"z9hG4bK{branch}".encode() not in data:
        return None
    return int(match[1]), match[2].decode("utf-8", "replace")


def is_well(status: int) -> bool:
    """Whether a gateway that answers with this status would take calls. Any status but 503 shows
    that it works."""
    return 200 <= status != BUSY
