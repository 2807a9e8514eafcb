"""The chain of the events that a node wrote: signed blocks, each bound to the block before.

In: events that a node coordinated. Out: signed blocks, and whether a block is valid. Pure: no
clock, no disk. Counterparts: `ledger.py` makes a node's blocks; `audit.py` compares them with the
records.

A block is stored, replicated and repaired as an event (`EventKind.CHAINED`) of a call of its own.
So somebody who controls one disk, or one key, cannot take it back.
"""

from hashlib import sha256
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from overlay.base import decoding
from overlay.base.errors import IdentityError
from overlay.identity.peer import peer_of_certificate
from overlay.records.call import CHAINED_FROM, CallEvent, EventKind
from overlay.records.node_info import Key

_PURPOSE: Final = b"sipfarm call events\0"
_FIELDS: Final = CallEvent.__struct_fields__
_LEVEL: Final = _FIELDS.index("level")
_REQUIRED: Final = len(_FIELDS) - len(CallEvent.__struct_defaults__)
_DEFAULTS: Final = CallEvent.__struct_defaults__


class ChainEntry(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One event of a block."""

    event_id: Key
    digest: bytes
    time_us: int


class Seen(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far another node's chain went."""

    node_id: Key
    node: str
    chain: int
    number: int
    """Number of the last block of that chain that the signer had stored."""
    head: bytes
    """Head of that block."""
    time_us: int
    """When that block was signed, by the clock of the node that signed it."""


class Block(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Events in the order in which their node took them on."""

    node_id: Key
    node: str
    chain: int
    """Incarnation of the run that began this chain. A node that lost its disk begins another
    chain."""
    number: int
    """From 1, without a gap."""
    previous: bytes
    """Head of the block before; empty in the first block."""
    after: int
    """Hybrid logical clock: the block has all events of this node after this time, up to
    `until`."""
    until: int
    """End of that time. Events between two blocks were lost with a run that ended before it signed
    them."""
    entries: tuple[ChainEntry, ...]
    withdrawn: tuple[bytes, ...] = ()
    """Ids of events, of this block or an earlier one, that no disk took. They may be missing."""
    seen: tuple[Seen, ...] = ()
    """Chains of other nodes that moved since the block before. Their blocks must not disappear."""


class SignedBlock(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A block as it is stored."""

    block: bytes
    signature: bytes
    """ECDSA with SHA-256 (FIPS 186-5), by the node's key."""
    certificate: bytes
    """The node's certificate, in DER. With it the farm's CA states whose key it is."""


encode = msgspec.msgpack.Encoder().encode
_decode_block = decoding.msgpack(Block)
_decode_signed = decoding.msgpack(SignedBlock)


def digest(event: CallEvent) -> bytes:
    """Digest of an event's content. It leaves out how safe the event was, as replicas may differ in
    that.

    Empty fields at the end do not count, as a later version may have more fields there.
    """
    values = list(msgspec.structs.astuple(event))
    values[_LEVEL] = ""
    while len(values) > _REQUIRED and values[-1] == _DEFAULTS[len(values) - 1 - _REQUIRED]:
        values.pop()
    return sha256(encode(values)).digest()


def entry(event: CallEvent) -> ChainEntry:
    """The event's entry in a block."""
    return ChainEntry(event_id=event.event_id, digest=digest(event), time_us=event.time_us)


def head(block: bytes) -> bytes:
    """The head that the next block names as its `previous`."""
    return sha256(block).digest()


def as_event(
    block: Block,
    body: bytes,
    key: ec.EllipticCurvePrivateKey,
    certificate: bytes,
    time_us: int,
) -> CallEvent:
    """The block, encoded in `body`, signed and made into the event that is stored."""
    signature = key.sign(_PURPOSE + body, ec.ECDSA(hashes.SHA256()))
    signed = SignedBlock(block=body, signature=signature, certificate=certificate)
    return CallEvent(
        kind=EventKind.CHAINED,
        # Two blocks of one number are two events, so it shows if a node signed both.
        event_id=CHAINED_FROM + head(body)[: 20 - len(CHAINED_FROM)],
        call_id=f"chain:{block.node_id.hex()}:{block.chain}:{block.number}",
        from_tag="",
        to_tag="",
        time_us=time_us,
        node=block.node,
        changed=block.until,
        proof=encode(signed),
    )


def of_event(event: CallEvent, authority: x509.Certificate) -> tuple[Block, bytes]:
    """The block in an event, and its head; raises `IdentityError` if its node did not sign it."""
    try:
        signed = _decode_signed(event.proof)
        block = _decode_block(signed.block)
        certificate = x509.load_der_x509_certificate(signed.certificate)
        certificate.verify_directly_issued_by(authority)
        public = certificate.public_key()
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise IdentityError(f"not a block: {error}") from error
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise IdentityError("its certificate is not of the farm's CA") from error
    peer = peer_of_certificate(certificate)
    if (peer.node_id, peer.name) != (block.node_id, block.node):
        raise IdentityError(f"it is said to be of {block.node}, and signed by {peer.name}")
    assert isinstance(public, ec.EllipticCurvePublicKey), "peer_of_certificate looks at that"
    try:
        public.verify(signed.signature, _PURPOSE + signed.block, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise IdentityError(f"{block.node} has not signed it") from error
    return block, head(signed.block)
