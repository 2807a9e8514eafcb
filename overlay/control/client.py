"""A blocking client of the control socket, for proxy workers and for the CLI.

In: requests of `messages.py`. Out: their answers. Counterpart: `server.py`. One request is under
way at a time; after a missed deadline the connection is closed, so that a late answer can never
be taken for the next request's.
"""

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from overlay.control import messages
from overlay.errors import ProtocolError, SipfarmError, UnavailableError
from overlay.limits import (
    CONTROL_REPLY_BYTES_MAX,
    CONTROL_REQUEST_BYTES_MAX,
    FRAME_HEADER_BYTES,
)


class RefusedError(SipfarmError):
    """The daemon refused the request; `code` is one of `messages.Refused.code`."""

    def __init__(self, refused: messages.Refused) -> None:
        super().__init__(refused.reason)
        self.code = refused.code


class ControlClient:
    """A connection to a daemon, made when it is first needed and again after it broke."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._socket: socket.socket | None = None
        self._last_id = 0

    def ask(self, request: messages.Requests, deadline_s: float) -> messages.Answers:
        """The answer to `request`.

        Raises `UnavailableError` when there is none within `deadline_s` seconds, `RefusedError`
        when the daemon refuses, `ProtocolError` when it answers nonsense.
        """
        self._last_id += 1
        request = msgspec.structs.replace(
            request, id=self._last_id, deadline_ms=request.deadline_ms or int(deadline_s * 1000)
        )
        payload = messages.encode(request)
        if len(payload) > CONTROL_REQUEST_BYTES_MAX:
            raise ProtocolError(f"request of {len(payload)} bytes is too large")
        until_s = time.monotonic() + deadline_s
        try:
            connection = self._connected(until_s)
            connection.settimeout(max(until_s - time.monotonic(), 0.001))
            connection.sendall(len(payload).to_bytes(FRAME_HEADER_BYTES, "big") + payload)
            answer = self._receive(connection, until_s)
        except (OSError, EOFError, msgspec.MsgspecError, ProtocolError) as error:
            self.close()
            if isinstance(error, msgspec.MsgspecError | ProtocolError):
                raise ProtocolError(f"{self._path}: {error}") from error
            raise UnavailableError(f"{self._path}: {error or type(error).__name__}") from error
        if isinstance(answer, messages.Refused):
            raise RefusedError(answer)
        return answer

    def close(self) -> None:
        """Close the connection; the next `ask` makes a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _connected(self, until_s: float) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(max(until_s - time.monotonic(), 0.001))
            try:
                connection.connect(self._path)
            except OSError:
                connection.close()
                raise
            self._socket = connection
        return self._socket

    def _receive(self, connection: socket.socket, until_s: float) -> messages.Answers:
        buffer = b""
        size = -1
        while size < 0 or len(buffer) < FRAME_HEADER_BYTES + size:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no answer within the deadline")
            connection.settimeout(left_s)
            data = connection.recv(65536)
            if not data:
                raise EOFError("connection closed by the daemon")
            buffer += data
            if size < 0 and len(buffer) >= FRAME_HEADER_BYTES:
                size = int.from_bytes(buffer[:FRAME_HEADER_BYTES], "big")
                if size > CONTROL_REPLY_BYTES_MAX:
                    raise ProtocolError(f"answer of {size} bytes is too large")
        if len(buffer) != FRAME_HEADER_BYTES + size:
            raise ProtocolError("answer to a question that was not asked")
        answer: messages.Answers = messages.decode_answer(buffer[FRAME_HEADER_BYTES:])
        if answer.id != self._last_id:
            raise ProtocolError("answer to another question")
        return answer
