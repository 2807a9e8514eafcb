"""Times, durations and JSON as the command prints them."""

from datetime import UTC, datetime

import pytest

from overlay.cli import output
from overlay.control.control_protocol import Done
from overlay.records.targets import Reach


@pytest.mark.parametrize(
    ("time_us", "shown"),
    [
        (0, ""),
        (1_767_268_800_999_999, "2026-01-01T12:00:00.999Z"),
        (10**30, f"{10**30} us"),
    ],
)
def test_times_are_utc(time_us: int, shown: str) -> None:
    assert output.time_of(time_us) == shown


@pytest.mark.parametrize(
    ("duration_ms", "shown"),
    [(0, "0:00:00.000"), (59_999, "0:00:59.999"), (360_000_000, "100:00:00.000")],
)
def test_durations(duration_ms: int, shown: str) -> None:
    assert output.duration_of(duration_ms) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (59.9, "59s"), (3600, "1h0m"), (90_061, "1d1h")]
)
def test_ages_have_two_units(seconds: float, shown: str) -> None:
    assert output.age_of(seconds) == shown


def test_json_is_plain() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    value = {"a": (Reach.FOUND, b"\x01", moment, None), "b": Done(id=5, detail="x")}
    assert output.plain(value) == {
        "a": ["found", "01", "2026-01-01T00:00:00+00:00", None],
        "b": {"detail": "x"},
    }


def test_json_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json({"a": "\x1b\n\u202eé"})
    assert capsys.readouterr().out == '{"a": "\\u001b\\n\\u202e\\u00e9"}\n'


def test_notes_are_a_line_each_and_safe(capsys: pytest.CaptureFixture[str]) -> None:
    output.note("one\ntwo\x1b")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "sipfarm: one\nsipfarm: two\\x1b\n")
