"""Decoders that fail in one way.

In: bytes that anybody may have sent, or a disk kept badly. Out: values of a type, or
`msgspec.MsgspecError`. msgspec itself lets `UnicodeDecodeError` through for a string that is not
UTF-8, and `RecursionError` for what is nested too deep.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

import msgspec

K = TypeVar("K", bound=msgspec.Struct)


def msgpack(kind: Any) -> Callable[[bytes | bytearray | memoryview], Any]:
    """What decodes msgpack to values of this type."""
    return _strict(msgspec.msgpack.Decoder(kind).decode)


def any_of(kinds: Sequence[type[K]]) -> Callable[[bytes | bytearray | memoryview], K]:
    """What decodes msgpack to whichever of these structs the tag names."""
    return msgpack(functools.reduce(operator.or_, kinds))


def kinds_in(base: type[K], *modules: ModuleType) -> tuple[type[K], ...]:
    """The tagged structs of these modules that are kinds of `base`, each once, as they stand."""
    found = (each for module in modules for each in vars(module).values())
    kinds = (each for each in found if isinstance(each, type) and issubclass(each, base))
    return tuple(dict.fromkeys(kind for kind in kinds if kind.__struct_config__.tag is not None))


def json(kind: Any) -> Callable[[bytes | str], Any]:
    """What decodes JSON to values of this type."""
    return _strict(msgspec.json.Decoder(kind).decode)


def _strict(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decoded(data: Any) -> Any:
        try:
            return decode(data)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error

    return decoded
