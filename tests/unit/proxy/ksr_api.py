"""Knows what the real KSR module exports, and lets tests use the fake in no other way.

In: `ksr_api.json`, written by `python -m tests.farm.ksr_api` from the installed Kamailio. Out:
functions that refuse arguments which Kamailio would refuse. Counterparts: `fake_ksr.py`,
`tests/farm/test_ksr_api.py`.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).with_name("ksr_api.json")
EXPORTED: Final[dict[str, list[str]]] = json.loads(PATH.read_text())
"""By `module.function`, without a module for those of the core: type of what is returned, then of
each parameter."""
_TYPES: Final[dict[str, type]] = {"str": str, "int": int}
_RETURNED: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "bool": (int,),
    "none": (type(None),),
    "xval": (str, int, type(None)),
}


def guarded(name: str, fake: Callable[..., Any]) -> Callable[..., Any]:
    """The fake of an exported function, that takes and returns what the real one does."""
    assert name in EXPORTED, f"Kamailio exports no KSR.{name}"
    returned, *parameters = EXPORTED[name]

    @functools.wraps(fake)
    def call(*arguments: Any) -> Any:
        assert len(arguments) == len(parameters), f"KSR.{name} takes {parameters}"
        for argument, kind in zip(arguments, parameters, strict=True):
            assert type(argument) is _TYPES[kind], f"KSR.{name}: {argument!r} is no {kind}"
            if isinstance(argument, str) and "\0" in argument:
                raise ValueError("embedded null character")
        answer = fake(*arguments)
        assert isinstance(answer, _RETURNED[returned]), f"KSR.{name} returns no {answer!r}"
        return answer

    return call
