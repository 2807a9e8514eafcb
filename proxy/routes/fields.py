"""Header fields, whatever bytes they hold.

In: the name of a field. Out: its text. Kamailio hands on strings that are UTF-8, and raises
`UnicodeDecodeError` for others. Where a field only informs, or is evidence of a call, that must
not get in the way.
"""

from typing import Final

from proxy.worker import Worker

FIELDS_MAX: Final = 64
"""Header fields of one name that are looked at."""

_HEXADECIMAL: Final = {
    "$ci": "$(ci{s.encode.hexa})",
    "$ft": "$(ft{s.encode.hexa})",
    "$tt": "$(tt{s.encode.hexa})",
    "$fu": "$(fu{s.encode.hexa})",
    "$tu": "$(tu{s.encode.hexa})",
    "$ou": "$(ou{s.encode.hexa})",
    "$ct": "$(ct{s.encode.hexa})",
    "$hdr(Server)": "$(hdr(Server){s.encode.hexa})",
    "$hdr(P-Asserted-Identity)": "$(hdr(P-Asserted-Identity){s.encode.hexa})",
    "$hdr(Reason)": "$(hdr(Reason){s.encode.hexa})",
}
"""The same fields in a form that is always UTF-8."""


def text(worker: Worker, variable: str) -> str:
    """A field of the message, by Kamailio's name; what is not UTF-8 in it is replaced."""
    try:
        return worker.ksr.pv.get(variable) or ""
    except UnicodeDecodeError:
        digits = worker.ksr.pv.get(_HEXADECIMAL[variable]) or ""
        return bytes.fromhex(digits).decode("utf-8", "replace")


def user_agent(worker: Worker) -> str:
    """The User-Agent field; empty if it is not there, or not UTF-8."""
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
    """The values of all header fields of a name, as one list; None if there are none, or one that
    is not UTF-8."""
    try:
        values = all_of(worker, name)
    except UnicodeDecodeError:
        return None
    return ", ".join(values) if values else None


def table_key(call_id: str, cseq: object, from_tag: str) -> str:
    """What all messages of a transaction have in common, as a key of a htable; no NUL is in it, as
    Kamailio takes C strings."""
    return f"{call_id}|{cseq}|{from_tag}".replace("\0", "|")
