"""Asks the daemon of this node, which answers for the farm.

In: requests of `overlay.control.operator_messages`. Out: their answers, of the type that belongs to
the request. Counterpart: `overlay.control.server`.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from overlay.base.errors import ProtocolError
from overlay.cli.arguments import load_config
from overlay.cli.exits import Exit
from overlay.cli.output import note
from overlay.control.client import ControlClient
from overlay.control.control_protocol import ControlAnswer, ControlRequest

A = TypeVar("A", bound=ControlAnswer)


class Daemon:
    """A connection to the daemon, and how long the daemon may take for an answer."""

    def __init__(self, client: ControlClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def ask(self, request: ControlRequest, kind: type[A]) -> A:
        """The answer. Raises `SipfarmError` if there is none, or if it is not of this kind."""
        answer = self._client.ask(request, self._timeout_s)
        if not isinstance(answer, kind):
            raise ProtocolError(
                f"the daemon answered {type(request).__name__} with {type(answer).__name__}"
            )
        return answer


@contextmanager
def daemon(args: argparse.Namespace) -> Iterator[Daemon]:
    """The daemon that the command line names, by its socket or by its configuration."""
    path = args.socket or load_config(args).control_socket
    with ControlClient(path) as client:
        yield Daemon(client, args.timeout)


def completeness(silent: tuple[str, ...]) -> Exit:
    """The exit code of a list that lacks the answers of these nodes. If there are any, a note names
    them."""
    if not silent:
        return Exit.DONE
    note(f"incomplete: no answer from {', '.join(silent)}")
    return Exit.REFUSED
