"""Proves to a node that a phone knows its subscriber's password (RFC 8760, RFC 7616).

In: a challenge. Out: the header field that answers it. Counterpart: the nodes' proxies.
"""

from typing import Final

from overlay.records.subscriber import with_password
from proxy import digest
from tests.sip.message import Message

PASSWORD: Final = "looking-glass"
"""Of all subscribers of the tests."""


class Credentials:
    """Of one user, who answers by one algorithm: `MD5` or `SHA-256`."""

    def __init__(
        self, user: str, farm: str, password: str = PASSWORD, algorithm: str = "SHA-256"
    ) -> None:
        self._user, self._farm, self._algorithm = user, farm, algorithm
        record = with_password(f"{user}@{farm}", password, version=1)
        self._ha1 = record.ha1 if algorithm == "MD5" else record.ha1_sha256

    def proof(self, challenge: Message, method: str, uri: str, count: int = 1) -> str:
        """The whole header field; `count` is how often this nonce was used."""
        asked, answered = (
            ("WWW-Authenticate", "Authorization")
            if challenge.code == 401
            else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        value = next(each for each in challenge.all(asked) if self._algorithm in each)
        nonce = value.partition('nonce="')[2].partition('"')[0]
        text = (
            f'Digest username="{self._user}", realm="{self._farm}", nonce="{nonce}", uri="{uri}", '
            f'algorithm={self._algorithm}, qop=auth, nc={count:08x}, cnonce="x"'
        )
        found = digest.parse(f'{text}, response="?"')
        assert found is not None
        return f'{answered}: {text}, response="{digest.response(found, self._ha1, method)}"'
