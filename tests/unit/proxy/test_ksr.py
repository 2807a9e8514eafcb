"""The types of `proxy/ksr.py`, and the fake, are those of the real module."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy import ksr
from tests.unit.proxy import ksr_api
from tests.unit.proxy.fake_ksr import FakeKsr

_RETURNED: dict[str, set[Any]] = {
    "int": {int},
    "bool": {bool, int},
    "none": {type(None)},
    "xval": {str, int, type(None), Any},
}


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of the protocols, by their names in KSR."""
    for name, member in vars(ksr.Ksr).items():
        if isinstance(member, property):
            assert member.fget is not None
            module = typing.get_type_hints(member.fget)["return"]
            for inner, function in vars(module).items():
                if inspect.isfunction(function) and not inner.startswith("_"):
                    yield f"{name}.{inner}", function
        elif inspect.isfunction(member) and not name.startswith("_"):
            yield name, member


FUNCTIONS = dict(_functions())


@pytest.mark.parametrize(("name", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
def test_every_function_is_exported_with_its_types(name: str, function: Callable[..., Any]) -> None:
    hints = typing.get_type_hints(function)
    returned = hints.pop("return")
    kinds = set(typing.get_args(returned)) if isinstance(returned, types.UnionType) else {returned}
    exported, *parameters = ksr_api.EXPORTED[name]
    assert [kind.__name__ for kind in hints.values()] == parameters
    assert kinds <= _RETURNED[exported]


@pytest.mark.parametrize("arguments", [(), (1,), ("a", "b"), (None,)])
def test_the_fake_refuses_what_kamailio_would(arguments: tuple[Any, ...]) -> None:
    fake: Any = FakeKsr()
    with pytest.raises(AssertionError):
        fake.pv.get(*arguments)


def test_the_fake_takes_no_nul_as_kamailio_takes_none() -> None:
    with pytest.raises(ValueError, match="null"):
        FakeKsr().ksr.htable.sht_get("pins", "a\0b")


def test_what_is_not_exported_cannot_be_faked() -> None:
    with pytest.raises(AssertionError, match=r"KSR\.x\.drop"):
        ksr_api.guarded("x.drop", lambda: 1)
