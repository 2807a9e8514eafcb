"""Makes decoders that fail in one way.

In: bytes that anybody may have sent, or that a disk has damaged. Out: values of a type, or
`msgspec.MsgspecError`. msgspec's own decoders also let `UnicodeDecodeError` through for a string
that is not UTF-8, and `RecursionError` for data that is nested too deep.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

import msgspec

K = TypeVar("K", bound=msgspec.Struct)


def msgpack(kind: Any) -> Callable[[bytes | bytearray | memoryview], Any]:
    """A function that decodes msgpack to a value of this type."""
    return _strict(msgspec.msgpack.Decoder(kind).decode)


def any_of(kinds: Sequence[type[K]]) -> Callable[[bytes | bytearray | memoryview], K]:
    """A function that decodes msgpack to whichever of these structs the tag names."""
    return msgpack(functools.reduce(operator.or_, kinds))


def kinds_in(base: type[K], *modules: ModuleType) -> tuple[type[K], ...]:
    """The tagged structs in these modules that are subclasses of `base`: each once, in the order in
    which the modules define them."""
    found = (each for module in modules for each in vars(module).values())
    kinds = (each for each in found if isinstance(each, type) and issubclass(each, base))
    return tuple(dict.fromkeys(kind for kind in kinds if kind.__struct_config__.tag is not None))


def json(kind: Any) -> Callable[[bytes | str], Any]:
    """A function that decodes JSON to a value of this type."""
    return _strict(msgspec.json.Decoder(kind).decode)


def _strict(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decoded(data: Any) -> Any:
        try:
            return decode(data)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error

    return decoded
