"""A dialled number becomes E.164, or nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.records.settings import Numbering, Rule
from proxy import telephone_numbers

GERMANY = Numbering(country="49")
AMERICA = Numbering(
    country="1",
    national="1",
    international="011",
    rules=(Rule(match="555", prepend="1212"), Rule(match="9", strip=1)),
)
SPAIN = Numbering(country="34", national="")

_prefixes = st.text("0123456789", max_size=4)
_rules = st.builds(
    Rule, match=_prefixes, strip=st.integers(0, 5), prepend=st.text("+0123456789", max_size=4)
)
_numberings = st.builds(
    Numbering,
    country=st.sampled_from(["", "1", "49", "351"]),
    national=_prefixes,
    international=_prefixes,
    rules=st.lists(_rules, max_size=3).map(tuple),
)


@pytest.mark.parametrize(
    ("numbering", "user", "expected"),
    [
        (GERMANY, "+49 (30) 123-456", "+4930123456"),
        (GERMANY, "004930123456", "+4930123456"),
        (GERMANY, "030.123456", "+4930123456"),
        (GERMANY, "030123456;phone-context=x", "+4930123456"),
        (GERMANY, "123456", ""),
        (GERMANY, "0", ""),
        (GERMANY, "alice", ""),
        (GERMANY, "*21", ""),
        (GERMANY, "+0123", ""),
        (GERMANY, "+1234567890123456", ""),
        (GERMANY, "", ""),
        (AMERICA, "12125550100", "+12125550100"),
        (AMERICA, "5550100", "+12125550100"),
        (AMERICA, "9011493012345", "+493012345"),
        (SPAIN, "912345678", "+34912345678"),
        (SPAIN, "004930123456", "+4930123456"),
        (Numbering(), "030123456", ""),
        (Numbering(), "004930123456", "+4930123456"),
    ],
)
def test_as_it_is_dialled(numbering: Numbering, user: str, expected: str) -> None:
    assert telephone_numbers.normalised(user, numbering) == expected


@given(_numberings, st.one_of(st.text(), st.text("+0123456789*#-. ()", max_size=20)))
def test_it_is_e164_or_nothing(numbering: Numbering, user: str) -> None:
    number = telephone_numbers.normalised(user, numbering)
    assert not number or re.fullmatch(r"\+[1-9][0-9]{1,14}", number)


@given(_numberings, st.text("0123456789+", max_size=20))
def test_what_is_normalised_stays_so(numbering: Numbering, user: str) -> None:
    without_rules = Numbering(
        country=numbering.country,
        national=numbering.national,
        international=numbering.international,
    )
    number = telephone_numbers.normalised(user, without_rules)
    assert telephone_numbers.normalised(number, without_rules) == number


@given(st.text("123456789", min_size=2, max_size=12))
def test_three_ways_to_dial_mean_one_number(digits: str) -> None:
    ways = (f"+49{digits}", f"0049{digits}", f"0{digits}")
    assert {telephone_numbers.normalised(way, GERMANY) for way in ways} == {f"+49{digits}"}


@given(st.lists(_rules), st.text("0123456789", max_size=10))
def test_the_first_rule_that_matches_decides(rules: list[Rule], number: str) -> None:
    matching = [rule for rule in rules if number.startswith(rule.match)]
    expected = matching[0].prepend + number[matching[0].strip :] if matching else number
    assert telephone_numbers.rewritten(number, rules) == expected
