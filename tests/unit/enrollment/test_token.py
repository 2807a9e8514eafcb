"""Tokens as text, and the CA's memory of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.base.errors import IdentityError
from overlay.enrollment import token_book
from overlay.enrollment.rate import RateLimit
from overlay.enrollment.token import Token, format_token, parse_token
from overlay.enrollment.token_book import TokenError
from overlay.identity import ca

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ONE, OTHER = "1" * 40, "2" * 40
TOKEN = Token(
    host="192.0.2.5", port=7461, fingerprint=b"f" * 32, token_id=b"i" * 8, secret=b"s" * 20
)


@given(st.ip_addresses(), st.integers(1, 65535), st.binary(min_size=20, max_size=20), st.text())
def test_a_token_survives_being_text(host: object, port: int, secret: bytes, node: str) -> None:
    token = Token(
        host=str(host),
        port=port,
        fingerprint=b"f" * 32,
        token_id=b"i" * 8,
        secret=secret,
        node=node[:60],
    )
    assert parse_token(f" {format_token(token)}\n") == token
    assert str(secret) not in repr(token)


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for candidate in (text, f"sipfarm1-{text}"):
        with pytest.raises(IdentityError, match="not a token"):
            parse_token(candidate)


@pytest.mark.parametrize("cut", [10, 20, 60, -1, -2])
def test_a_part_of_a_token_is_refused(cut: int) -> None:
    with pytest.raises(IdentityError, match="not a token"):
        parse_token(format_token(TOKEN)[:cut])


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    ca.create(tmp_path, "farm.test", now=NOW)
    return tmp_path


def make(authority: Path, valid: timedelta = HOUR) -> Token:
    return token_book.make(authority, ("192.0.2.5", 7461), "", valid, NOW)


def use(
    authority: Path, token: Token, node_id: str, now: datetime = NOW, secret: bytes = b""
) -> None:
    with token_book.redeemed(authority, token.token_id, secret or token.secret, node_id, now):
        pass


def test_a_token_is_used_once_but_its_user_may_come_again(authority: Path) -> None:
    token = make(authority)
    use(authority, token, ONE)
    use(authority, token, ONE)
    with pytest.raises(TokenError, match="was used before"):
        use(authority, token, OTHER)


def test_what_fails_does_not_use_it_up(authority: Path) -> None:
    token = make(authority)
    attempt = token_book.redeemed(authority, token.token_id, token.secret, ONE, NOW)
    with pytest.raises(IdentityError, match="name"), attempt:
        raise IdentityError("the name is taken")
    use(authority, token, OTHER)


@pytest.mark.parametrize("user", [ONE, OTHER])
def test_it_expires_also_for_who_used_it(authority: Path, user: str) -> None:
    token = make(authority)
    use(authority, token, ONE)
    fresh = make(authority)
    for each in (token, fresh):
        if each is fresh or user == ONE:
            with pytest.raises(TokenError, match="expired at 2030-01-01T01:00:00Z"):
                use(authority, each, user, NOW + HOUR)


def test_guesses_are_refused_alike(authority: Path) -> None:
    token = make(authority)
    with pytest.raises(TokenError, match="not one of this CA"):
        use(authority, token, ONE, secret=b"x" * 20)
    with pytest.raises(TokenError, match="not one of this CA"):
        use(authority, TOKEN, ONE)
    use(authority, token, ONE)


def test_the_secret_is_not_kept(authority: Path) -> None:
    token = make(authority)
    kept = (authority / "tokens.jsonl").read_bytes()
    assert token.secret not in kept
    assert token.secret.hex().encode() not in kept


@pytest.mark.parametrize("days", [0, 31])
def test_how_long_a_token_may_be_valid(authority: Path, days: int) -> None:
    with pytest.raises(IdentityError, match="valid for up to 30 days"):
        make(authority, timedelta(days=days))


def test_an_address_has_its_tries_and_gets_them_back() -> None:
    limit = RateLimit(per_minute=3, addresses_max=2)
    for _ in range(3):
        assert limit.allows("192.0.2.1", 0.0)
        limit.failed("192.0.2.1", 0.0)
    assert not limit.allows("192.0.2.1", 1.0)
    assert limit.allows("192.0.2.2", 1.0)
    assert limit.allows("192.0.2.1", 20.0)
    for host in range(3):
        limit.failed(f"2001:db8::{host}", 0.0)
    assert not limit.allows("2001:db8::9", 0.0)
    for host in range(100):
        limit.failed(f"198.51.100.{host}", 0.0)
    assert len(limit._buckets) == 2
