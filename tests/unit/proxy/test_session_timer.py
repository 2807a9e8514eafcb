"""Session timers: what a proxy may ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.session_timer import RequestTimer, answer_fields, lists, request_timer, seconds


@pytest.mark.parametrize(
    ("text", "session_s"),
    [
        ("1800", 1800),
        (" 90 ; Refresher = UAS ;x=y", 90),
        ("90;refresher=nobody", 90),
        ("", None),
        (None, None),
        ("-1", None),
        ("1e3", None),
        ("99999999999", None),
        ("4294967295", None),
    ],
)
def test_a_session_expires(text: str | None, session_s: int | None) -> None:
    assert seconds(text) == session_s


def test_without_a_timer_one_is_asked_for() -> None:
    assert request_timer(None, None, None, 1800, 90) == RequestTimer(session_s=1800, insert=True)
    assert request_timer(None, "3600", "timer", 1800, 90) == RequestTimer(
        session_s=3600, insert=True, supported=True
    )
    assert request_timer("rubbish", None, None, 60, 90).session_s == 90


def test_what_is_asked_for_stays() -> None:
    assert request_timer("600", None, "timer", 1800, 90) == RequestTimer(
        session_s=600, supported=True
    )


def test_only_who_understands_is_refused() -> None:
    assert request_timer("30", None, "timer", 1800, 90).too_small
    assert not request_timer("30", None, "100rel", 1800, 90).too_small


def test_the_caller_refreshes_where_the_callee_says_nothing() -> None:
    assert answer_fields(None, 1800) == (
        "Session-Expires: 1800;refresher=uac\r\n",
        "Require: timer\r\n",
    )
    assert answer_fields("600;refresher=uas", 1800) == ()
    assert answer_fields(None, 0) == ()


def test_a_list() -> None:
    assert lists("100rel, Timer ,path", "timer")
    assert not lists("timers", "timer")
    assert not lists(None, "timer")


@given(st.text(), st.text(), st.text())
def test_anything_gets_an_answer(session: str, least: str, supported: str) -> None:
    made = request_timer(session, least, supported, 1800, 90)
    assert made.session_s >= 0
    assert made.too_small <= made.supported
