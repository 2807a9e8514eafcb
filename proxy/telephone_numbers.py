"""Telephone numbers, as people dial them and as carriers want them.

In: the text that was dialled, and the farm's rules for dialling. Out: the number in E.164 with `+`,
or nothing. Pure functions, property-tested. Counterparts: `trunk_choice.py` and `sipfarm trunk
route`.
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
    """The digits in a URI's user part, without parameters and separators; empty if it is no
    number."""
    number = user.partition(";")[0].translate(_SEPARATORS)
    return number if _DIALLED.fullmatch(number) else ""


def normalised(user: str, numbering: Numbering) -> str:
    """The E.164 number that a user of the farm reaches by dialling this; empty if there is none."""
    number = rewritten(digits_of(user), numbering.rules)
    if not number:
        return ""
    if not number.startswith("+"):
        number = _international(number, numbering)
    return number if _E164.fullmatch(number) else ""


def rewritten(number: str, rules: Iterable[Rule]) -> str:
    """The number, changed by the first rule that matches it; unchanged if no rule does."""
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
