"""The declaration of billed columns."""

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from overlay.billing.columns import COLUMNS
from overlay.records.billed import DESCRIPTION, FREE, Column, Kind, columns_of
from overlay.records.call import CallEvent
from overlay.records.call_record import CallRecord

_PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def version(text: str) -> tuple[int, ...]:
    assert re.fullmatch(r"\d+\.\d+\.\d+", text)
    return tuple(map(int, text.split(".")))


def test_columns_are_only_ever_added_at_the_end() -> None:
    first = [
        *("id", "revision", "state", "callid", "from_tag", "to_tag", "caller", "callee"),
        *("request_uri", "start_time", "end_time", "duration", "hangup", "cause", "reason"),
        *("sip_code", "nodes", "event_ids", "trunk", "subscriber", "asserted", "routed_uri"),
        *("source", "destination"),
    ]
    assert list(COLUMNS)[: len(first)] == first
    assert {COLUMNS[name].since for name in first} == {"0.1.0"}
    versions = [version(column.since) for column in COLUMNS.values()]
    assert versions == sorted(versions)
    ours = tomllib.loads(_PROJECT.read_text())["project"]["version"]
    assert versions[-1] <= version(ours)


def test_records_keep_the_order_of_their_fields() -> None:
    first = [
        *("call_id", "state", "caller", "callee", "request_uri", "from_tag", "to_tag"),
        *("answer_us", "end_us", "duration_ms", "hangup", "code", "nodes", "replicas", "levels"),
        *("event_ids", "cause", "reason", "trunk", "subscriber", "asserted", "routed_uri"),
        *("source", "destination"),
    ]
    assert list(CallRecord.__struct_fields__)[: len(first)] == first


def test_every_description_is_a_text_of_an_event() -> None:
    texts = {field.name for field in msgspec.structs.fields(CallEvent) if field.type is str}
    for name, column in DESCRIPTION.items():
        assert column.event in texts
        assert column.kind in FREE
        assert column.said_by
        assert COLUMNS[name] is column
        assert name in CallRecord.__struct_fields__
    assert len({column.label for column in DESCRIPTION.values()}) == len(DESCRIPTION)


def test_a_field_that_declares_no_column_is_an_error() -> None:
    class One(msgspec.Struct):
        said: Annotated[str, Column(kind=Kind.TEXT, since="0.1.0")]
        forgotten: Annotated[str, "no column"] = ""

    class Two(msgspec.Struct):
        forgotten: str = ""

    for struct in (One, Two):
        with pytest.raises(TypeError, match="forgotten declares no column"):
            columns_of(struct)
