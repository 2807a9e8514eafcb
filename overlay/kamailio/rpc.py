"""Sends one command to the node's Kamailio, over its JSON-RPC datagram socket.

In: the socket's path, the command's name, its parameters. Out: the command's result, or a
`KamailioError` with Kamailio's reason. `ask` blocks and is for commands of the CLI; `ask_soon` is
for the daemon's loop. Counterpart: module jsonrpcs in `proxy/kamailio.cfg.j2`.
"""

import asyncio
import os
import re
import socket
from pathlib import Path
from typing import Any, Final

import msgspec

from overlay.base import decoding
from overlay.base.errors import SipfarmError
from overlay.base.limits import KAMAILIO_ANSWER_BYTES_MAX, KAMAILIO_FIGURES_MAX

TIMEOUT_S: Final = 5.0
"""How long `ask` waits."""
SOON_TIMEOUT_S: Final = 0.5
"""How long `ask_soon` waits."""
STATISTICS: Final = "stats.get_statistics"
"""The command whose result `statistics` reads. Its parameters are names, or `all`."""

_ID: Final = 1
"""Always the same: each question has its own socket, so its answer cannot be taken for
another's."""
_STATISTIC: Final = re.compile(r"([\w.-]{1,64}:[\w.-]{1,128}) ?= ?(-?\d{1,20})")


class KamailioError(SipfarmError):
    """Kamailio does not answer, answers nonsense, or has refused the command."""


class _RpcFailure(msgspec.Struct):
    message: str = ""


class _RpcAnswer(msgspec.Struct):
    id: int
    result: Any = None
    error: _RpcFailure | None = None


_decode_answer = decoding.json(_RpcAnswer)


def ask(path: Path, method: str, *parameters: str) -> object:
    """Run the command and return its result; raises `KamailioError`."""
    # The socket has a path, as an address of the kernel's choice is known in one network namespace
    # alone.
    own = path.with_name(f"rpc-{os.getpid()}.sock")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(TIMEOUT_S)
            own.unlink(missing_ok=True)
            asking.bind(str(own))
            # Kamailio's user must be able to answer.
            own.chmod(0o666)
            asking.connect(str(path))
            asking.send(_question(method, parameters))
            answer = asking.recv(KAMAILIO_ANSWER_BYTES_MAX)
    except OSError as error:
        raise _silent(path, method, error) from error
    finally:
        own.unlink(missing_ok=True)
    return _result(path, method, answer)


async def ask_soon(path: Path, method: str, *parameters: str) -> object:
    """Run the command and return its result; raises `KamailioError`."""
    loop = asyncio.get_running_loop()
    try:
        # uvloop has no Unix datagram endpoints; watching the descriptor works on every loop.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
            # The kernel chooses an unnamed address, so that Kamailio's user may answer to it.
            asking.bind("")
            asking.connect(str(path))
            asking.send(_question(method, parameters))
            readable = asyncio.Event()
            loop.add_reader(asking, readable.set)
            try:
                async with asyncio.timeout(SOON_TIMEOUT_S):
                    await readable.wait()
                answer = asking.recv(KAMAILIO_ANSWER_BYTES_MAX)
            finally:
                loop.remove_reader(asking)
    except OSError as error:
        raise _silent(path, method, error) from error
    return _result(path, method, answer)


def statistics(result: object) -> dict[str, int]:
    """The values in the result of `STATISTICS`, by `group:name`. Lines that hold no statistic are
    left out.

    Raises `KamailioError` if this is no result of that command.
    """
    if not isinstance(result, list) or not all(isinstance(line, str) for line in result):
        raise KamailioError("Kamailio's statistics are no list of lines")
    found = map(_STATISTIC.fullmatch, result[:KAMAILIO_FIGURES_MAX])
    return {match[1]: int(match[2]) for match in found if match}


def _question(method: str, parameters: tuple[str, ...]) -> bytes:
    question: dict[str, object] = {"jsonrpc": "2.0", "method": method, "id": _ID}
    # Kamailio would take an empty list for a parameter.
    question |= {"params": parameters} if parameters else {}
    return msgspec.json.encode(question)


def _result(path: Path, method: str, data: bytes) -> object:
    try:
        answer: _RpcAnswer = _decode_answer(data)
    except msgspec.MsgspecError as error:
        raise _silent(path, method, error) from error
    if answer.id != _ID:
        raise _silent(path, method, "that was another question's answer")
    if answer.error is not None:
        raise KamailioError(
            f"Kamailio refuses {method}: {answer.error.message or 'without reason'}"
        )
    return answer.result


def _silent(path: Path, method: str, why: object) -> KamailioError:
    return KamailioError(f"Kamailio at {path} does not answer {method}: {why}")
