"""Declares, once, what kinds of columns billing records have, and the columns that describe a call.

In: annotations of fields. Out: `CallDescription` with its `DESCRIPTION`, and `columns_of`.
Counterparts: `overlay.records.call_record.CallRecord` and `overlay.billing.columns.Row` inherit the
fields, `overlay.records.assemble` fills them from events, and `sipfarm cdr show` prints them.

A further text needs a field of `CallEvent`, which a proxy fills, and one line here. The record, the
row and every sink derive it from that line.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Final, get_type_hints

import msgspec

from overlay.records.call import BEGINNINGS, EventKind


class Kind(Enum):
    """The kind of a column's content. Each sink decides by it how to write the content."""

    WORD = auto()
    """Text that this farm made: ids, states, causes."""
    NAME = auto()
    """Free text that identifies a dialog: its Call-ID and its tags."""
    TEXT = auto()
    """Any other free text. Callers, their phones or other nodes chose it."""
    NUMBER = auto()
    TIME = auto()
    """A moment as text; empty if there was none."""
    SECONDS = auto()
    """A span as text, in seconds with three decimals."""


FREE: Final = frozenset({Kind.NAME, Kind.TEXT})
"""The kinds of free text."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of billing records. Its name and type are those of the field that it annotates."""

    kind: Kind
    since: str
    """The first version that has the column. Columns are only ever added at the end."""


@dataclass(frozen=True, kw_only=True)
class DescribedColumn(Column):
    """A column that shows one text of the call's events."""

    event: str
    """The field of `CallEvent` that the text comes from."""
    label: str
    """The name that `sipfarm cdr show` gives the column."""
    said_by: tuple[EventKind, ...]
    """The kinds of events that have the text."""


def _said(
    event: str,
    *,
    label: str,
    since: str,
    said_by: tuple[EventKind, ...] = (*BEGINNINGS, EventKind.STOP),
) -> DescribedColumn:
    return DescribedColumn(kind=Kind.TEXT, since=since, event=event, label=label, said_by=said_by)


class CallDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The texts that describe a call.

    The fields are keyword-only and those of the subclasses are not, so in a subclass they follow
    the subclass's own fields.
    """

    trunk: Annotated[str, _said("trunk", label="trunk", since="0.1.0")] = ""
    """The trunk that the call came from or went to."""
    subscriber: Annotated[str, _said("subscriber", label="subscriber", since="0.1.0")] = ""
    """The account that was used: the address-of-record that the caller proved by a password; empty
    if no password was asked for."""
    asserted: Annotated[str, _said("asserted", label="identity", since="0.1.0")] = ""
    """The caller's P-Asserted-Identity (RFC 3325) as a URI, even if the caller wants privacy."""
    routed_uri: Annotated[str, _said("routed_uri", label="sent on as", since="0.1.0")] = ""
    """The Request-URI with which the INVITE went on. `request_uri` is the one that was dialled."""
    source: Annotated[str, _said("origin", label="from", since="0.1.0")] = ""
    """`transport:address:port` that the INVITE came from."""
    destination: Annotated[
        str, _said("destination", label="to", since="0.1.0", said_by=BEGINNINGS)
    ] = ""
    """`transport:address:port` that answered the INVITE."""


def columns_of(struct: type[msgspec.Struct]) -> dict[str, Column]:
    """The columns of a struct, by field name, in order. Raises `TypeError` for a field that
    declares none."""
    hints = get_type_hints(struct, include_extras=True)
    columns = {}
    for name in struct.__struct_fields__:
        declared = [each for each in getattr(hints[name], "__metadata__", ()) if _is_column(each)]
        if len(declared) != 1:
            raise TypeError(f"{struct.__name__}.{name} declares no column")
        columns[name] = declared[0]
    return columns


def _is_column(annotation: object) -> bool:
    return isinstance(annotation, Column)


DESCRIPTION: Final[dict[str, DescribedColumn]] = {
    name: column
    for name, column in columns_of(CallDescription).items()
    if isinstance(column, DescribedColumn)
}
"""The columns of `CallDescription`, by field name."""
