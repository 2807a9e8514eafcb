"""What a REGISTER asks for, and what becomes of it (RFC 3261 10).

In: an authorized REGISTER, as a proxy read it. Out: an outcome, and the bindings that the
200 lists. Counterpart: `registrar.py` decides.
"""

from enum import IntEnum

import msgspec


class ContactChange(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One Contact of a REGISTER."""

    uri: str
    expires_s: int
    """0 removes the binding."""
    q: int = 1000
    received: str = ""
    owner: str = ""
    instance: str = ""
    reg_id: int = 0
    """Above 0: a flow (RFC 5626), which takes the place of the device's one of this number."""


class RegisterOutcome(IntEnum):
    """What became of a REGISTER."""

    DONE = 1
    """The bindings are on W replicas: 200 with all of them."""
    STALE = 2
    """Its CSeq is not higher than that of a binding of the same Call-ID: 500, nothing changed."""
    TOO_MANY = 3
    """More contacts than the farm allows an address-of-record: 403."""
    UNAVAILABLE = 4
    """W replicas could not be had in time: 503 or silence."""


class BoundContact(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A binding as the 200 lists it."""

    uri: str
    expires_s: int
    q: int = 1000
    instance: str = ""
    reg_id: int = 0


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An authorized REGISTER.

    No contacts and no `remove_all` asks for the bindings as they are (RFC 3261 10.2.3).
    """

    aor: str
    call_id: str
    cseq: int
    contacts: tuple[ContactChange, ...] = ()
    remove_all: bool = False
    """`Contact: *` with Expires 0."""
    path: tuple[str, ...] = ()
    user_agent: str = ""
    contacts_max: int = 0
    """This subscriber's limit of bindings; 0: the farm's."""


class RegisterResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a REGISTER."""

    outcome: RegisterOutcome
    bindings: tuple[BoundContact, ...] = ()
    """All that are in force, if it is done."""
    weak: bool = False
    """Fewer nodes than overlay.write_quorum are there to hold it."""
