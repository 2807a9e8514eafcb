"""Digest authentication (RFC 3261 22, RFC 7616) against secrets in the overlay.

In: a request and the address-of-record that it must prove to be. Out: whether it did; if not, it
is answered already. Unknown and known users are answered alike: the same question to the daemon,
the same check, the same challenge.

A nonce counts once. The retransmission of a request whose answer was good carries the same nonce
and count, and must not be taken for a replay; so what passed is remembered for as long as a
client retransmits (RFC 3261 17.1.1.2, 64*T1), with all that tells the retransmission from
another use of the same answer.
"""

from hashlib import blake2s
from typing import Final

from proxy import counters
from proxy.routes import answers, fields
from proxy.worker import Worker

CREDENTIALS_MAX: Final = 8
_TABLE: Final = "passed"
_HA1: Final = 1
_USER_IS_SENDER: Final = 1
_QOP_AUTH: Final = 1
_STALE: Final = 16
_STALE_NONCE: Final = -4
_NONCE_REUSED: Final = -6
_USER_MISMATCH: Final = -8
_NO_ONES_HA1: Final = "0123456789abcdef0123456789abcdef"
"""Checked when there is no such user, so that this takes as long as a wrong password."""


def prove(worker: Worker, aor: str) -> bool:
    """Whether the request has proved to be from `aor`."""
    ksr, realm = worker.ksr, worker.settings.farm
    if ksr.auth.has_credentials(realm) < 0:
        _challenge(worker, _QOP_AUTH)
        return False
    key, fingerprint = _fingerprint(worker)
    if ksr.htable.sht_get(_TABLE, key) == fingerprint:
        return True
    secrets = worker.overlay.secrets(aor, worker.settings.lookup_deadline_s)
    if secrets is None:
        answers.unavailable(worker)
        return False
    result = ksr.auth.pv_auth_check(realm, secrets.ha1 or _NO_ONES_HA1, _HA1, _USER_IS_SENDER)
    if result > 0 and secrets.ha1:
        ksr.htable.sht_sets(_TABLE, key, fingerprint)
        return True
    if result in (_STALE_NONCE, _NONCE_REUSED):
        worker.count(counters.AUTH_STALE)
        _challenge(worker, _QOP_AUTH | _STALE)
        return False
    worker.count(counters.AUTH_FAILURES)
    if result == _USER_MISMATCH:
        answers.send(worker, 403, "Forbidden")
        return False
    _challenge(worker, _QOP_AUTH)
    return False


def conceal(worker: Worker) -> None:
    """Take the proof out of a request that goes on (RFC 3261 22.3): it is nobody else's business.
    Credentials for other realms stay."""
    ksr = worker.ksr
    realm = f'realm="{worker.settings.farm}"'
    for index in range(CREDENTIALS_MAX):
        value = ksr.hdr.get_idx("Proxy-Authorization", index)
        if value is None:
            return
        if realm in value:
            ksr.textops.remove_hf_idx("Proxy-Authorization", index)


def _challenge(worker: Worker, flags: int) -> None:
    worker.count(counters.AUTH_CHALLENGES)
    worker.ksr.auth.auth_challenge(worker.settings.farm, flags)


def _fingerprint(worker: Worker) -> tuple[str, str]:
    ksr = worker.ksr
    get = ksr.pv.get
    key = fields.table_key(ksr.kx.get_callid(), get("$cs"), get("$ft") or "")
    parts = (
        get("$hdr(Authorization)"),
        get("$hdr(Proxy-Authorization)"),
        get("$rm"),
        get("$ou"),
        get("$tu"),
        get("$hdr(Via)"),
        get("$si"),
        get("$sp"),
    )
    text = "\0".join(str(part) for part in parts)
    return key, blake2s(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
