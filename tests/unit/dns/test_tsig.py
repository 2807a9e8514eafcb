"""Keys are read in the forms in which the tools write them."""

import base64
import subprocess
from pathlib import Path

import pytest

from overlay.base.errors import ConfigError
from overlay.dns import tsig

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def test_what_tsig_keygen_writes() -> None:
    written = subprocess.run(
        ["tsig-keygen", "-a", "hmac-sha512", "farm-update"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    key = tsig.parse(written, "key")
    assert (key.name, key.algorithm, len(key.secret)) == ("farm-update", "hmac-sha512", 64)


def test_what_keymgr_writes() -> None:
    written = subprocess.run(
        ["keymgr", "-t", "farm-update", "hmac-sha256"], capture_output=True, text=True, check=True
    ).stdout
    key = tsig.parse(written, "key")
    assert (key.name.rstrip("."), key.algorithm, len(key.secret)) == (
        "farm-update",
        "hmac-sha256",
        32,
    )


def test_a_line() -> None:
    key = tsig.parse(f"hmac-sha256:farm-update:{SECRET}\n", "key")
    assert key.secret == base64.b64decode(SECRET)
    assert SECRET not in repr(key)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no key in it"),
        (f"hmac-md5:k:{SECRET}", "hmac-md5"),
        ("hmac-sha256:k:not*base64", "not base64"),
    ],
)
def test_what_is_no_key(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        tsig.parse(text, "key")
    assert SECRET not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        tsig.load(tmp_path / "none")
