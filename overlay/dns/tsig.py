"""The key that signs dynamic updates (TSIG, RFC 8945), in the formats of the common tools.

In: a file of `tsig-keygen` (BIND), of `keymgr -t` (Knot), or a line `algorithm:name:secret` (as
`dig -y` takes it). Out: a `TsigKey`. Counterpart: `publisher.py`.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from overlay.base.errors import ConfigError
from overlay.base.limits import IDENTITY_FILE_BYTES_MAX

ALGORITHMS: Final = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")

_BIND: Final = re.compile(
    r'key\s+"?(?P<name>[^\s"{]+)"?\s*\{\s*algorithm\s+"?(?P<algorithm>[\w-]+)"?\s*;'
    r'\s*secret\s+"?(?P<secret>[^\s";]+)"?\s*;\s*\}\s*;?',
    re.IGNORECASE,
)
_LINE: Final = re.compile(
    r"^[#\s]*(?P<algorithm>hmac-\w+):(?P<name>[^\s:]+):(?P<secret>\S+)\s*$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class TsigKey:
    """A shared secret and its name."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)


def parse(text: str, origin: str) -> TsigKey:
    """The key in `text`; raises `ConfigError` that says what is wrong, but never the secret."""
    found = _BIND.search(text) or _LINE.search(text)
    if found is None:
        raise ConfigError(
            f"{origin}: no key in it: expected what tsig-keygen or keymgr -t writes, or "
            "algorithm:name:secret"
        )
    algorithm = found["algorithm"].lower()
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"{origin}: algorithm {algorithm} is none of {', '.join(ALGORITHMS)}")
    try:
        secret = base64.b64decode(found["secret"], validate=True)
    except binascii.Error as error:
        raise ConfigError(f"{origin}: the secret is not base64") from error
    return TsigKey(name=found["name"], algorithm=algorithm, secret=secret)


def load(path: Path) -> TsigKey:
    """The key in a file; raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            data = file.read(IDENTITY_FILE_BYTES_MAX)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return parse(data.decode("utf-8", "replace"), str(path))
