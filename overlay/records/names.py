"""Names of records, and the 160-bit keys that place records in the overlay.

An address-of-record is written `user@domain`: the user unescaped, the domain in lower case, without
scheme, port and parameters (RFC 3261 10.3 step 5 and 19.1.4).
"""

from enum import IntEnum
from hashlib import sha1
from typing import Final
from urllib.parse import unquote

RESERVED: Final = "\x00"
"""How the name of a record begins that belongs to a node itself and is no address-of-record."""


class RecordKind(IntEnum):
    """The kind of record that a key names. The number stands in frames and on disk, and never
    changes."""

    REGISTRATION = 1
    CALL = 2
    SUBSCRIBER = 3


def address_of_record(user: str, domain: str) -> str:
    """`user@domain`, in the one form that is looked up; the domain alone if the user is empty."""
    host = domain.lower().rstrip(".")
    return f"{unquote(user)}@{host}" if user else host


def key_of(kind: RecordKind, name: str) -> bytes:
    """The 20-byte overlay key of a record: SHA-1 over its kind and its name."""
    return sha1(b"%d:" % kind + name.encode("utf-8", "surrogateescape")).digest()


def aor_of_uri(uri: str) -> str:
    """`user@host` of a SIP URI, without password, port, parameters and header fields."""
    rest = uri.partition(":")[2] if uri.lower().startswith(("sip:", "sips:")) else uri
    rest = rest.partition(";")[0].partition("?")[0]
    user, _, host = rest.rpartition("@")
    host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return f"{user.partition(':')[0]}@{host.lower()}" if user else host.lower()


def probe_name(node_name: str) -> str:
    """The name of the registration record that a node's readiness probe writes. No phone can have
    this name."""
    return f"{RESERVED}ready\x00{node_name}"
