"""Posts billing records to an HTTP service, signed.

In: rows. Out: `POST` of `{"rows": [...]}`. Any 2xx says that all of them are safe there.
Counterpart: the operator's service, which checks the signature and stores rows by id.

    X-Sipfarm-Timestamp: Unix seconds
    X-Sipfarm-Signature: sha256=HEX, HMAC-SHA256 over TIMESTAMP "." BODY with the shared secret
    Idempotency-Key: of these rows
"""

import hmac
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx
import msgspec

from overlay.base.limits import IDENTITY_FILE_BYTES_MAX
from overlay.billing.columns import BilledRow
from overlay.billing.sinks.sink import SinkError

TIMEOUT_S: Final = 10.0


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """The value of `X-Sipfarm-Signature`."""
    return "sha256=" + hmac.digest(secret, f"{timestamp}.".encode() + body, "sha256").hex()


class WebhookSink:
    """The sink of one URL."""

    def __init__(self, url: str, secret_file: Path, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._secret_file = secret_file
        self._clock = clock
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S, follow_redirects=False, headers={"User-Agent": "sipfarm"}
        )

    @property
    def name(self) -> str:
        return f"webhook {self._url}"

    async def take(self, rows: Sequence[BilledRow]) -> None:
        body = msgspec.json.encode({"rows": rows})
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "X-Sipfarm-Timestamp": timestamp,
            "X-Sipfarm-Signature": signature(self._secret(), timestamp, body),
            "Idempotency-Key": sha256(body).hexdigest()[:32],
        }
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise SinkError(f"{type(error).__name__}: {error}") from error
        if not answer.is_success:
            raise SinkError(f"answered {answer.status_code} {answer.reason_phrase}")

    async def tick(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        await self._client.aclose()

    def _secret(self) -> bytes:
        """The secret. The file is read each time, so that a changed secret is used at once."""
        try:
            with self._secret_file.open("rb") as file:
                secret = file.read(IDENTITY_FILE_BYTES_MAX).strip()
        except OSError as error:
            raise SinkError(f"{self._secret_file}: {error.strerror}") from error
        if not secret:
            raise SinkError(f"{self._secret_file} is empty")
        return secret
