"""Digest authentication (RFC 3261 22, RFC 8760) against the secrets in the overlay.

In: a request, and the subscriber in its From. Out: an `AuthenticatedSubscriber`; or None, and the
request is answered. Unknown and known users are treated alike: the same question to the daemon, the
same check, the same challenge. Counterpart: `proxy/digest.py` computes.

A right answer counts once. The retransmission of a request carries the same answer, and must not be
taken for a replay. So a request that passed is remembered for as long as a client retransmits
(64*T1, RFC 3261 17.1.1.2): all its bytes, Contact and body included, and where they came from.
"""

import os
import time
from dataclasses import dataclass
from typing import Final

from overlay.base.limits import URI_CHARS_MAX
from overlay.control.proxy_messages import Secrets
from overlay.records.subscriber import Policy
from proxy import counters, digest
from proxy.digest import Credentials
from proxy.routes import fields, policy, responses
from proxy.worker import Worker

CREDENTIALS_MAX: Final = 8
_PASSED: Final = "passed"
_USED: Final = "used"
_WHOLE_MESSAGE: Final = "$(mb{s.sha256})"
"""Kamailio's hash over the message as it came, in hexadecimal digits."""
_NO_ONES_HA1: Final = "0123456789abcdef0123456789abcdef"
"""Checked if there is no such user, so that this takes as long as a wrong password."""


@dataclass(frozen=True, slots=True)
class AuthenticatedSubscriber:
    """The subscriber who has proved to be the sender of a request."""

    aor: str
    policy: Policy
    repeated: bool
    """Whether the request is the retransmission of one that passed."""

    def may_be(self, aor: str) -> bool:
        """Whether the subscriber may call under this address-of-record."""
        return bool(aor) and (aor == self.aor or aor in self.policy.identities)


def authenticate(
    worker: Worker, from_aor: str, *, emergency: bool = False
) -> AuthenticatedSubscriber | None:
    """The sender, if it proves to be a subscriber who may call as `from_aor`. An empty `from_aor`
    accepts any subscriber. So does an emergency, in which only a wrong password keeps anybody from
    calling."""
    credentials = _credentials(worker)
    if credentials is None:
        _challenge(worker)
        return None
    farm = worker.settings.farm
    aor = f"{credentials.username.removesuffix(f'@{farm}')}@{farm}"
    if "\0" in aor or len(aor) > URI_CHARS_MAX:
        _fail(worker, "")
        return None
    key, fingerprint = _fingerprint(worker)
    repeated = worker.ksr.htable.sht_get(_PASSED, key) == fingerprint
    address = "" if emergency else _sender_address(worker)
    secrets = worker.overlay.secrets(aor, worker.settings.lookup_deadline_s, address)
    if secrets is None:
        responses.unavailable(worker)
        return None
    if secrets.locked_s:
        worker.count(counters.LOCKED_OUT)
        worker.ksr.hdr.append_to_reply(f"Retry-After: {secrets.locked_s}\r\n")
        responses.warned(worker, 403, "Forbidden", "Too many wrong passwords from this address")
        return None
    if not (repeated and secrets.ha1) and not _is_right(worker, credentials, secrets):
        return None
    subscriber = AuthenticatedSubscriber(aor, secrets.policy, repeated)
    if (not emergency and from_aor and from_aor != aor) and (
        _is_register(worker) or not subscriber.may_be(from_aor)
    ):
        worker.count(counters.IDENTITIES_REFUSED)
        responses.warned(worker, 403, "Forbidden", "From is not the subscriber who proved himself")
        return None
    if not emergency and not policy.pass_block(worker, secrets.policy):
        return None
    worker.ksr.htable.sht_sets(_PASSED, key, fingerprint)
    return subscriber


def has_credentials(worker: Worker) -> bool:
    """Whether the request answers a challenge of the farm."""
    return _credentials(worker) is not None


def forget(worker: Worker) -> None:
    """The request did not pass after all: its retransmission must prove its sender again."""
    worker.ksr.htable.sht_rm(_PASSED, _fingerprint(worker)[0])


def conceal(worker: Worker) -> None:
    """Take the credentials for this farm out of a request that goes on (RFC 3261 22.3), as they are
    nobody else's business. Credentials for other realms stay."""
    ksr = worker.ksr
    realm = f'realm="{worker.settings.farm}"'
    for index in range(CREDENTIALS_MAX):
        value = ksr.hdr.get_idx("Proxy-Authorization", index)
        if value is None:
            return
        if realm in value:
            ksr.textops.remove_hf_idx("Proxy-Authorization", index)


def _is_right(worker: Worker, credentials: Credentials, secrets: Secrets) -> bool:
    """Whether the answer is right and new; if not, the request is challenged again."""
    settings = worker.settings
    ha1 = secrets.ha1 if credentials.algorithm == "MD5" else secrets.ha1_sha256
    right = digest.is_right(credentials, ha1 or _NO_ONES_HA1, worker.ksr.kx.get_method())
    if not right or not ha1:
        if not secrets.ha1:
            worker.count(counters.AUTH_UNKNOWN)
        _fail(worker, f"{credentials.username.removesuffix(f'@{settings.farm}')}@{settings.farm}")
        return False
    fresh = digest.is_fresh(settings.route_key, settings.node, time.time(), credentials.nonce)
    if fresh and worker.ksr.htable.sht_inc(_USED, credentials.use) == 1:
        return True
    worker.count(counters.AUTH_STALE)
    _challenge(worker, stale=True)
    return False


def _credentials(worker: Worker) -> Credentials | None:
    name = "Authorization" if _is_register(worker) else "Proxy-Authorization"
    settings = worker.settings
    for index in range(CREDENTIALS_MAX):
        value = worker.ksr.hdr.get_idx(name, index)
        if value is None:
            return None
        found = digest.parse(value)
        if (
            found is not None
            and found.realm == settings.farm
            and found.algorithm in settings.config.proxy.digest_algorithms
        ):
            return found
    return None


def _is_register(worker: Worker) -> bool:
    return worker.ksr.kx.get_method() == "REGISTER"


def _fail(worker: Worker, aor: str) -> None:
    worker.count(counters.AUTH_FAILURES)
    if address := _sender_address(worker):
        worker.overlay.login_failed(aor, address, worker.settings.lookup_deadline_s)
    _challenge(worker)


def _sender_address(worker: Worker) -> str:
    """The sender's address; empty if only the proxy that sent the request on is known."""
    address = worker.ksr.kx.get_srcip()
    return "" if worker.settings.trusts(address) else address


def _challenge(worker: Worker, *, stale: bool = False) -> None:
    """Ask for credentials, by the strongest algorithm first (RFC 8760 2.4)."""
    settings = worker.settings
    nonce = digest.make_nonce(
        settings.route_key, settings.node, time.time(), os.urandom(digest.RANDOM_BYTES)
    )
    register = _is_register(worker)
    name = "WWW-Authenticate" if register else "Proxy-Authenticate"
    for algorithm in settings.config.proxy.digest_algorithms:
        text = digest.challenge(settings.farm, nonce, algorithm, stale=stale)
        worker.ksr.hdr.append_to_reply(f"{name}: {text}\r\n")
    worker.count(counters.AUTH_CHALLENGES)
    if register:
        responses.send(worker, 401, "Unauthorized")
    else:
        responses.send(worker, 407, "Proxy Authentication Required")


def _fingerprint(worker: Worker) -> tuple[str, str]:
    """The key of the request's transaction, and what no other request has: all its bytes, and where
    they came from."""
    kx, digits = worker.ksr.kx, worker.ksr.pv.get(_WHOLE_MESSAGE)
    return fields.transaction_key(worker), f"{digits} {kx.get_srcip()} {kx.get_srcport()}"
