"""The list of nodes that the farm no longer trusts, signed by the operator.

In: ids of nodes that the operator revokes. Out: a list with a version. Every version is complete,
so the highest one says all. Counterparts: `ca.revoke` makes it; `overlay.enrollment.revoker` on
each node checks, keeps and enforces it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from overlay.base import decoding
from overlay.base.errors import ForgedError, IdentityError
from overlay.base.limits import REVOKED_FILE_BYTES_MAX, REVOKED_NODES_MAX
from overlay.identity import files
from overlay.identity.operator import Operator, OperatorKey

PURPOSE: Final = b"revocations 1"
"""What the operator's signature under a list is for."""

_ID_BYTES: Final = 20


class Revocations(msgspec.Struct, frozen=True, kw_only=True):
    """All nodes that are shut out."""

    version: int = 0
    """Unix time in ms of the change, or one more than the version before it; 0: there is no
    list."""
    node_ids: tuple[bytes, ...] = ()
    """Node ids of 20 bytes each, in order."""
    signature: bytes = b""
    """The operator's signature over version and ids."""


NONE: Final = Revocations()
"""The value that stands for no list."""

_encoder = msgspec.msgpack.Encoder()
_decode: Callable[[bytes | memoryview], Revocations] = decoding.msgpack(Revocations)


def encode(revoked: Revocations) -> bytes:
    """The list's bytes, as they are stored and sent."""
    return _encoder.encode(revoked)


def signed(version: int, node_ids: set[bytes], key: OperatorKey) -> Revocations:
    """A signed list of these nodes. Raises `IdentityError` if they are too many."""
    if len(node_ids) > REVOKED_NODES_MAX:
        raise IdentityError(f"more than {REVOKED_NODES_MAX} nodes cannot be revoked at a time")
    bare = Revocations(version=version, node_ids=tuple(sorted(node_ids)))
    return msgspec.structs.replace(bare, signature=key.sign(PURPOSE, _signed_part(bare)))


def admit(body: bytes, operator: Operator) -> Revocations:
    """The list in `body`. Raises `ForgedError` if the operator has not signed it, or if it makes no
    sense."""
    try:
        revoked = _decode(body)
    except msgspec.MsgspecError as error:
        raise ForgedError(f"not a revocation list: {error}") from error
    if not operator.has_signed(PURPOSE, _signed_part(revoked), revoked.signature):
        raise ForgedError("a revocation list without the operator's signature")
    too_many = len(revoked.node_ids) > REVOKED_NODES_MAX
    if too_many or any(len(node_id) != _ID_BYTES for node_id in revoked.node_ids):
        raise ForgedError("a revocation list that is none")
    return revoked


def read(path: Path, operator: Operator) -> Revocations:
    """The list in the file at `path`; an empty one if there is no file. Raises `IdentityError`."""
    if not path.exists():
        return NONE
    try:
        return admit(files.read_public(path, REVOKED_FILE_BYTES_MAX), operator)
    except ForgedError as error:
        raise IdentityError(f"{path}: {error}") from error


def write(path: Path, revoked: Revocations) -> None:
    """Write the list to the file at `path`. Raises `IdentityError`."""
    files.write_public(path, encode(revoked))


def _signed_part(revoked: Revocations) -> bytes:
    return _encoder.encode((revoked.version, revoked.node_ids))
