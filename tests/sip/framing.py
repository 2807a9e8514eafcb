"""Finds the end of a message on a connection, by its Content-Length (RFC 3261 18.3).

In: bytes as they come. Out: whole messages. Counterparts: `links.py`, `ways.py`.
"""

from typing import Final

from tests.sip.message import Address, Message, parsed

_BREAKS: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"


class MessageBuffer:
    """Holds what is not a whole message yet."""

    def __init__(self, source: Address) -> None:
        self._source = source
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Take in what came."""
        self._held += data

    def next(self) -> Message | None:
        """The next message; None until more has come. Passes over pings and pongs (RFC 5626)."""
        self._held = self._held.lstrip(_BREAKS)
        end = self._held.find(_HEAD_END)
        if end < 0:
            return None
        message = parsed(self._held[: end + len(_HEAD_END)], self._source)
        end += len(_HEAD_END) + int(message.get("Content-Length") or 0)
        if len(self._held) < end:
            return None
        whole, self._held = self._held[:end], self._held[end:]
        return parsed(whole, self._source)
