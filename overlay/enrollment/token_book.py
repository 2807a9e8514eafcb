"""The CA's memory of tokens: which tokens were made, and which node used which.

In: new tokens; attempts to use one. Out: whether it may be used. Every use is on disk before the
certificate is handed out, so a token is used only once, even across restarts and by several
processes. Counterparts: `service.py`; `sipfarm ca token`. The book has hashes of the secrets, not
the secrets.
"""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from overlay.base.errors import IdentityError
from overlay.enrollment.token import ID_BYTES, SECRET_BYTES, Token, fingerprint_of
from overlay.identity import files, ledger, template
from overlay.identity.identity import load_ca_certificate

VALID_MAX: Final = timedelta(days=30)
_NO_HASH: Final = "0" * 64


class TokenError(IdentityError):
    """The token cannot be used. The text says why."""


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it was made, or, in a later line, as it was used."""

    token_id: str
    """Hex digits."""
    secret_sha256: str
    node: str
    made_at: datetime
    expires_at: datetime
    used_by: str = ""
    """The id, in hex, of the node that used it; empty if none did."""
    used_at: datetime | None = None


def make(
    directory: Path, service: tuple[str, int], node: str, valid: timedelta, now: datetime
) -> Token:
    """A new token of the CA in `directory`. `service` is the host and port at which its holder will
    ask.

    Raises `IdentityError`.
    """
    if not timedelta(0) < valid <= VALID_MAX:
        raise IdentityError(f"a token must be valid for up to {VALID_MAX.days} days")
    authority = load_ca_certificate(directory / files.CA_CERTIFICATE)
    token = Token(
        host=service[0],
        port=service[1],
        fingerprint=fingerprint_of(authority),
        token_id=secrets.token_bytes(ID_BYTES),
        secret=secrets.token_bytes(SECRET_BYTES),
        node=template.checked_node(node) if node else "",
    )
    entry = TokenEntry(
        token_id=token.token_id.hex(),
        secret_sha256=sha256(token.secret).hexdigest(),
        node=node,
        made_at=now.replace(microsecond=0),
        expires_at=now + valid,
    )
    with ledger.locked_lines(directory / files.TOKENS, TokenEntry) as book:
        book.append(entry)
    return token


@contextmanager
def redeemed(
    directory: Path, token_id: bytes, secret: bytes, node_id: str, now: datetime
) -> Iterator[TokenEntry]:
    """The token's entry while `node_id` uses it. The token is used up when the block ends without
    an error.

    The same node may use it again, in case the answer was lost. Raises `TokenError`.
    """
    with ledger.locked_lines(directory / files.TOKENS, TokenEntry) as book:
        entry = _latest(book.entries, token_id.hex())
        expected = entry.secret_sha256 if entry else _NO_HASH
        matches = hmac.compare_digest(sha256(secret).hexdigest(), expected)
        if entry is None or not matches:
            raise TokenError("the token is not one of this CA")
        if entry.used_by not in ("", node_id):
            raise TokenError("the token was used before; make another with 'sipfarm ca token'")
        if entry.expires_at <= now:
            raise TokenError(
                f"the token expired at {entry.expires_at:%Y-%m-%dT%H:%M:%SZ}; "
                "make another with 'sipfarm ca token'"
            )
        yield entry
        if not entry.used_by:
            book.append(msgspec.structs.replace(entry, used_by=node_id, used_at=now))


def _latest(entries: list[TokenEntry], token_id: str) -> TokenEntry | None:
    return next((each for each in reversed(entries) if each.token_id == token_id), None)
