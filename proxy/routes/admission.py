"""The first look at a message, before anything in it is read.

In: any message as it came. Out: what is wrong with it, if anything. Counterparts: `request.py`,
which refuses such a request; `reply.py`, which drops such an answer.

Control characters are refused everywhere before the body. Kamailio reads some strings up to a NUL
and others beyond it; terminals and logs obey the others. RFC 3261 25.1 lets them stand in quoted
pairs alone, where nobody needs them. Line breaks and tabs are white space.
"""

from typing import Final

from overlay.base.limits import SIP_FIELD_CHARS_MAX, SIP_REQUEST_BYTES_MAX
from proxy import counters
from proxy.routes import checks, responses
from proxy.worker import Worker

_CONTROLS: Final = bytes(set(range(0x20)) - set(b"\t\n")) + b"\x7f"
"""Bytes that stand nowhere before the body, but for a CR in a CRLF."""
_BYTES: Final = "$(mb{s.encode.hexa})"
"""The message in hexadecimal digits. Kamailio has no room for those of more than 32 KiB."""


def pass_request(worker: Worker) -> bool:
    """Whether a request may be read; if not, it is answered or dropped."""
    fault = _fault(worker)
    if not fault:
        return True
    if fault == counters.MALFORMED:
        checks.refuse_malformed(worker)
    else:
        worker.count(fault)
        checks.refuse_stranger(worker, 400, "Header Field Too Long")
    return False


def may_pass_reply(worker: Worker) -> bool:
    """Whether a reply may be read; one that may not is counted."""
    fault = _fault(worker)
    if fault:
        worker.count(fault)
    return not fault


def pass_size(worker: Worker, length: int) -> bool:
    """Whether a request outside of dialogs, of `length` bytes, is small enough; if not, it is
    answered: 413 if that is for its body (RFC 3261 21.4.11), else 400."""
    if length <= SIP_REQUEST_BYTES_MAX:
        return True
    worker.count(counters.OVERSIZED)
    if length - int(worker.ksr.pv.get("$bs") or 0) <= SIP_REQUEST_BYTES_MAX:
        responses.send(worker, 413, "Request Entity Too Large")
    else:
        responses.send(worker, 400, "Header Too Long")
    return False


def is_clean(message: str) -> bool:
    """Whether the message has no control character before its body."""
    data = head_of(message).encode("utf-8", "surrogateescape")
    return len(data) - len(data.translate(None, _CONTROLS)) == data.count(b"\r\n")


def has_long_field(message: str) -> bool:
    """Whether the first line or a header field, with its folded lines, is too long."""
    if len(message) <= SIP_FIELD_CHARS_MAX:
        return False
    length = 0
    for line in head_of(message).split("\n"):
        length = length + len(line) if line.startswith((" ", "\t")) else len(line)
        if length > SIP_FIELD_CHARS_MAX:
            return True
    return False


def head_of(message: str) -> str:
    """The message up to its body. Kamailio passes over empty lines before the first one."""
    message = message.lstrip("\r\n")
    end = message.find("\r\n\r\n")
    if end < 0:
        end = message.find("\n\n")
    return message if end < 0 else message[:end]


def _fault(worker: Worker) -> str:
    """The counter of what is wrong with the message; empty if it may be read."""
    try:
        text = worker.ksr.kx.get_msgbuf()
    except UnicodeDecodeError:
        digits = worker.ksr.pv.get(_BYTES)
        if not digits:
            # It has such bytes, and is too large for Kamailio to show it otherwise.
            return counters.MALFORMED
        text = bytes.fromhex(digits).decode("utf-8", "replace")
    data = text.encode("utf-8", "surrogateescape")
    # Most messages are short, and few have control characters in their bodies either.
    if len(data) <= SIP_FIELD_CHARS_MAX and (
        len(data) - len(data.translate(None, _CONTROLS)) == data.count(b"\r\n")
    ):
        return ""
    if not is_clean(text):
        return counters.MALFORMED
    return counters.OVERSIZED if has_long_field(text) else ""
