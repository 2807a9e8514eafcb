"""Decoders that fail in one way.

In: bytes that anybody may have sent, or a disk kept badly. Out: values of a type, or
`msgspec.MsgspecError`. msgspec itself lets `UnicodeDecodeError` through for a string that is not
UTF-8, and `RecursionError` for what is nested too deep.
"""

from collections.abc import Callable
from typing import Any

import msgspec


def msgpack(kind: Any) -> Callable[[bytes | bytearray | memoryview], Any]:
    """What decodes msgpack to values of this type."""
    return _strict(msgspec.msgpack.Decoder(kind).decode)


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
