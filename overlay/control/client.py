"""A blocking client of the control socket, for proxy workers and for the CLI.

In: requests. Out: their answers. Counterpart: `server.py`. One request is under way at a time.
After a missed deadline the connection is closed, so that a late answer can never be taken for the
answer to the next request.
"""

import socket
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from overlay.base import frames
from overlay.base.errors import ProtocolError, SipfarmError, UnavailableError
from overlay.base.limits import (
    CONTROL_REPLY_BYTES_MAX,
    CONTROL_REQUEST_BYTES_MAX,
)
from overlay.control import control_codec
from overlay.control.control_protocol import ControlAnswer, ControlRequest, Refused


class RefusedError(SipfarmError):
    """The daemon refused the request. `code` is one of `Refused.code`."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.reason)
        self.code = refused.code


class ControlClient:
    """A connection to a daemon. It is made when it is first needed, and again after it broke."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._socket: socket.socket | None = None
        self._deadline_s = 0.0
        self._last_id = 0

    def ask(self, request: ControlRequest, deadline_s: float) -> ControlAnswer:
        """The answer to `request`.

        Raises `UnavailableError` if there is no answer within `deadline_s` seconds, `RefusedError`
        if the daemon refuses, and `ProtocolError` if the answer makes no sense.
        """
        self._last_id += 1
        request = msgspec.structs.replace(
            request, id=self._last_id, deadline_ms=request.deadline_ms or int(deadline_s * 1000)
        )
        payload = control_codec.encode(request)
        if len(payload) > CONTROL_REQUEST_BYTES_MAX:
            raise ProtocolError(f"request of {len(payload)} bytes is too large")
        until_s = time.monotonic() + deadline_s
        try:
            connection = self._connected(deadline_s)
            connection.sendall(frames.pack(payload))
            answer = self._receive(connection, until_s)
        except (OSError, EOFError, msgspec.MsgspecError, ProtocolError) as error:
            self.close()
            if isinstance(error, msgspec.MsgspecError | ProtocolError):
                raise ProtocolError(f"{self._path}: {error}") from error
            if isinstance(error, BlockingIOError):
                raise UnavailableError(f"{self._path}: no answer in {deadline_s:g} s") from error
            raise UnavailableError(f"{self._path}: {error or type(error).__name__}") from error
        if isinstance(answer, Refused):
            raise RefusedError(answer)
        return answer

    def close(self) -> None:
        """Close the connection. The next `ask` makes a new one."""
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

    def _connected(self, deadline_s: float) -> socket.socket:
        """The connection. Each call on it gives up after `deadline_s`.

        The kernel keeps the time: a Python timeout would cost a poll and an ioctl for each call.
        """
        connection = self._socket
        if connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket = connection
            self._limit(connection, deadline_s)
            connection.connect(self._path)
        elif deadline_s != self._deadline_s:
            self._limit(connection, deadline_s)
        return connection

    def _limit(self, connection: socket.socket, deadline_s: float) -> None:
        microseconds = max(1, int(deadline_s * 1e6))
        timeval = struct.pack("ll", *divmod(microseconds, 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        self._deadline_s = deadline_s

    def _receive(self, connection: socket.socket, until_s: float) -> ControlAnswer:
        payload = frames.receive(connection.recv, CONTROL_REPLY_BYTES_MAX, until_s)
        answer = control_codec.decode_answer(payload)
        if answer.id != self._last_id:
            raise ProtocolError("answer to another question")
        return answer
