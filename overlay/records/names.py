"""Names of records and the 160-bit keys that place them in the overlay.

An address-of-record is written `user@domain`: the user unescaped, the domain in lower case, no
scheme, port or parameters (RFC 3261 10.3 step 5 and 19.1.4).
"""

from enum import IntEnum
from hashlib import sha1
from typing import Final
from urllib.parse import unquote

RESERVED: Final = "\x00"
"""How the names begin of records that are no address-of-record but a node's own."""


class RecordKind(IntEnum):
    """What a key names; the number stands in frames and on disk and never changes."""

    REGISTRATION = 1
    CALL = 2
    SUBSCRIBER = 3


def address_of_record(user: str, domain: str) -> str:
    """`user@domain` in the one form that is looked up; no user gives the domain alone."""
    host = domain.lower().rstrip(".")
    return f"{unquote(user)}@{host}" if user else host


def key_of(kind: RecordKind, name: str) -> bytes:
    """The 20-byte overlay key of a record: SHA-1 over its kind and its name."""
    return sha1(b"%d:" % kind + name.encode("utf-8", "surrogateescape")).digest()


def aor_of_uri(uri: str) -> str:
    """`user@host` of a SIP URI, without what else it may carry."""
    rest = uri.partition(":")[2] if uri.lower().startswith(("sip:", "sips:")) else uri
    rest = rest.partition(";")[0].partition("?")[0]
    user, _, host = rest.rpartition("@")
    host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return f"{user.partition(':')[0]}@{host.lower()}" if user else host.lower()


def probe_name(node_name: str) -> str:
    """The name of the registration record that a node's readiness probe writes: no phone can have
    it."""
    return f"{RESERVED}ready\x00{node_name}"
