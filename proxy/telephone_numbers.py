"""Telephone numbers as people dial them, and as carriers want them.

In: what was dialled, how people dial here. Out: the number in E.164 with `+`, or nothing; pure
functions, property-tested. Counterparts: `trunk_choice.py`, `sipfarm trunk route`.
"""

import re
from collections.abc import Iterable
from typing import Final

from overlay.records.settings import Numbering, Rule

_SEPARATORS: Final = str.maketrans("", "", "-.() ")
"""Visual separators (RFC 3966 3)."""
_DIALLED: Final = re.compile(r"\+?[0-9*#]+")
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")


def digits_of(user: str) -> str:
    """The digits of a URI's user part, without parameters and separators; empty if it is no
    number."""
    number = user.partition(";")[0].translate(_SEPARATORS)
    return number if _DIALLED.fullmatch(number) else ""


def normalised(user: str, numbering: Numbering) -> str:
    """The number (E.164) that somebody here means who dials this; empty if it is none."""
    number = rewritten(digits_of(user), numbering.rules)
    if not number:
        return ""
    if not number.startswith("+"):
        number = _international(number, numbering)
    return number if _E164.fullmatch(number) else ""


def rewritten(number: str, rules: Iterable[Rule]) -> str:
    """The number by the first rule that matches; as it is if there is none."""
    for rule in rules:
        if number.startswith(rule.match):
            return rule.prepend + number[rule.strip :]
    return number


def _international(number: str, numbering: Numbering) -> str:
    abroad, here = numbering.international, numbering.national
    if abroad and number.startswith(abroad):
        return f"+{number[len(abroad) :]}"
    if numbering.country and number.startswith(here) and number != here:
        return f"+{numbering.country}{number[len(here) :]}"
    return ""
