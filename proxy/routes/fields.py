"""Reads header fields, whatever bytes they hold.

In: the name of a field, or of a pseudo-variable. Out: its text.

Kamailio passes on strings in UTF-8, and raises `UnicodeDecodeError` for others. Such a byte must
not keep a call from being made or billed, if its field only informs or is evidence of the call.
"""

from hashlib import blake2b
from typing import Final

from overlay.base.joined import joined as join_parts
from proxy.worker import Worker

FIELDS_MAX: Final = 64
"""Header fields of one name that are read."""

_KEY_BYTES: Final = 16
_BETWEEN: Final = "\n"
_NONE: Final = "<null>"
"""What Kamailio writes for a variable without a value. A user may have this name, too."""
_HEXADECIMAL: Final = {
    "$ci": "$(ci{s.encode.hexa})",
    "$ft": "$(ft{s.encode.hexa})",
    "$tt": "$(tt{s.encode.hexa})",
    "$fu": "$(fu{s.encode.hexa})",
    "$tu": "$(tu{s.encode.hexa})",
    "$ou": "$(ou{s.encode.hexa})",
    "$ct": "$(ct{s.encode.hexa})",
    "$hdr(User-Agent)": "$(hdr(User-Agent){s.encode.hexa})",
    "$hdr(Server)": "$(hdr(Server){s.encode.hexa})",
    "$hdr(P-Asserted-Identity)": "$(hdr(P-Asserted-Identity){s.encode.hexa})",
    "$hdr(Reason)": "$(hdr(Reason){s.encode.hexa})",
}
"""By variable: the variable in hexadecimal digits, which are always UTF-8."""


def text(worker: Worker, variable: str) -> str:
    """The value of a variable of Kamailio; bytes in it that are not UTF-8 are replaced."""
    try:
        return _exactly(worker, variable)
    except UnicodeDecodeError:
        digits = worker.ksr.pv.get(_HEXADECIMAL[variable]) or ""
        return bytes.fromhex(digits).decode("utf-8", "replace")


def _exactly(worker: Worker, variable: str) -> str:
    found = worker.ksr.pv.get(variable)
    return found if isinstance(found, str) else str(found or "")


class VariableGroup:
    """Variables that are read by one call into Kamailio, for a third of the time that they take one
    by one."""

    def __init__(self, *variables: str, exact: bool = False) -> None:
        """With `exact`, a value that is not UTF-8 raises `UnicodeDecodeError`; else its bytes are
        replaced."""
        self._variables = variables
        self._text = _exactly if exact else text
        self._all = f"$_s({_BETWEEN.join(variables)})"

    def read(self, worker: Worker) -> list[str]:
        """The values, in the order of the names; a value that is not there is empty."""
        try:
            texts: list[str] = (worker.ksr.pv.get(self._all) or "").split(_BETWEEN)
        except UnicodeDecodeError:
            texts = []
        if len(texts) != len(self._variables):
            # A value has a line break or bytes that are not UTF-8, or all values are too long.
            return [self._text(worker, variable) for variable in self._variables]
        place = -1
        for _ in range(texts.count(_NONE)):
            place = texts.index(_NONE, place + 1)
            texts[place] = self._text(worker, self._variables[place])
        return texts


def user_agent(worker: Worker) -> str:
    """The User-Agent; empty if there is none, or it is not UTF-8."""
    try:
        return worker.ksr.kx.gete_ua()
    except UnicodeDecodeError:
        return ""


def all_of(worker: Worker, name: str) -> list[str]:
    """The values of all header fields of a name; raises `UnicodeDecodeError`."""
    get_idx = worker.ksr.hdr.get_idx
    values: list[str] = []
    while len(values) < FIELDS_MAX:
        value = get_idx(name, len(values))
        if value is None:
            break
        values.append(value)
    return values


def joined(worker: Worker, name: str) -> str | None:
    """The values of all header fields of a name as one list. None if there are none, or one is not
    UTF-8."""
    try:
        values = all_of(worker, name)
    except UnicodeDecodeError:
        return None
    return ", ".join(values) if values else None


def transaction_key(worker: Worker) -> str:
    """The `table_key` of this message's transaction; raises `UnicodeDecodeError`."""
    get = worker.ksr.pv.get
    return table_key(worker.ksr.kx.get_callid(), get("$cs"), get("$ft") or "")


def table_key(call_id: str, cseq: object, from_tag: str) -> str:
    """The `fixed_key` of what all messages of a transaction have in common."""
    parts = join_parts(call_id, str(cseq), from_tag)
    return blake2b(parts, digest_size=_KEY_BYTES).hexdigest()


def fixed_key(*parts: str) -> str:
    """A key for a table of Kamailio. Its length does not depend on what strangers send, as the
    tables are in the memory that all workers share."""
    return blake2b(join_parts(*parts), digest_size=_KEY_BYTES).hexdigest()
