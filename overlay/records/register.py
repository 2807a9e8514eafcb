"""What a REGISTER asks for, and what becomes of it (RFC 3261 10).

In: an authorized REGISTER, as a proxy read it. Out: an outcome, and the bindings that the 200
lists. Counterpart: `registrar.py` decides.
"""

from enum import IntEnum

import msgspec


class Contact(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A Contact header field: as a phone sent it in a REGISTER, or as the 200 lists a binding."""

    uri: str
    """The URI without header parameters."""
    expires_s: int
    """The lifetime in seconds. In a REGISTER, 0 removes the binding."""
    q: int = 1000
    """The preference in thousandths, 0..1000."""
    instance: str = ""
    """The device (`+sip.instance`, RFC 5626 4.1), in its angle brackets."""
    reg_id: int = 0
    """The device's number for this flow; 0 if it gave none, or none that is valid."""


class ContactChange(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A Contact that a REGISTER is to bind, and the flow on which the phone was seen.

    The order of the fields is that of the wire, so this struct cannot be `Contact` with two further
    fields.
    """

    uri: str
    expires_s: int
    """The lifetime in seconds; 0 removes the binding."""
    q: int = 1000
    received: str = ""
    """See `Binding.received`."""
    owner: str = ""
    """See `Binding.owner`."""
    instance: str = ""
    reg_id: int = 0
    """Above 0: a flow (RFC 5626), which replaces the device's flow of this number."""


class RegisterOutcome(IntEnum):
    """What became of a REGISTER."""

    DONE = 1
    """The bindings are on W replicas: 200 with all of them."""
    STALE = 2
    """Its CSeq is not higher than that of a binding of the same Call-ID: 500, nothing changed."""
    TOO_MANY = 3
    """More contacts than the farm allows an address-of-record: 403."""
    UNAVAILABLE = 4
    """Too few replicas stored the bindings in time, W being needed: 503 or silence."""


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An authorized REGISTER.

    Without contacts and without `remove_all`, it asks for the bindings as they are (RFC 3261
    10.2.3).
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
    """This subscriber's limit of bindings; 0: the farm's limit."""


class RegisterResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a REGISTER."""

    outcome: RegisterOutcome
    bindings: tuple[Contact, ...] = ()
    """All bindings that are in force, if the outcome is DONE."""
    weak: bool = False
    """Fewer nodes are there to hold the bindings than overlay.write_quorum asks for."""
