"""The exit codes of `sipfarm`. Scripts rely on them, so they never change.

In: the errors that a verb raises. Out: the code that the process ends with.
"""

from enum import IntEnum

from overlay.base.errors import ConfigError, SipfarmError, UnavailableError
from overlay.control.client import RefusedError


class Exit(IntEnum):
    """What an exit code says."""

    DONE = 0
    NOT_FOUND = 1
    """The question was answered, and the answer is no: not there, not registered, not ready."""
    USAGE = 2
    """The command line or the configuration is wrong. Nothing was asked."""
    UNREACHABLE = 3
    """The daemon is not there, or did not answer in time. What was asked for may still happen."""
    REFUSED = 4
    """The daemon refused, or could not do what was asked for, or the answer lacks what silent nodes
    hold."""
    INTERRUPTED = 130
    """Ctrl-C."""


EXPLANATION = """\
exit codes:
  0  done
  1  the answer is no: not found, not registered, not ready
  2  the command line or the configuration is wrong; nothing was asked
  3  the daemon is not there, or did not answer in time
  4  refused, or the answer is incomplete because some nodes are silent
"""

_BY_REFUSAL = {"not-found": Exit.NOT_FOUND, "bad-request": Exit.USAGE, "too-large": Exit.USAGE}


def code_of(error: SipfarmError) -> Exit:
    """The exit code for an error that ended a verb."""
    if isinstance(error, RefusedError):
        return _BY_REFUSAL.get(error.code, Exit.REFUSED)
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, UnavailableError):
        return Exit.UNREACHABLE
    return Exit.REFUSED
