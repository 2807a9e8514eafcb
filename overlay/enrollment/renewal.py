"""Renews the node's certificate while the daemon runs.

In: the certificate's validity. Out: a new certificate on disk and in the TLS contexts. Links that
are open keep the old one. Counterpart: `service.py`, which knows the node by its present
certificate and signs the same key for the same names.
"""

import asyncio
import dataclasses
import logging
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from overlay.base import tasks
from overlay.base.addresses import split_address
from overlay.base.errors import IdentityError, SipfarmError
from overlay.base.limits import ENROLLMENT_PORT_DEFAULT
from overlay.config.config import Config
from overlay.enrollment.authority_client import ask, trusting
from overlay.enrollment.enrollment_messages import Renew, Renewed
from overlay.identity import files, keys, request
from overlay.identity.identity import Identity, load_ca_certificate, load_certificate
from overlay.identity.peer import peer_of_certificate
from overlay.observe.figures import gauge
from overlay.observe.metric_families import Unit
from overlay.observe.part import Part

log = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 3_600.0
"""How long, on average, the daemon waits before it looks at the certificate's age again, and before
it asks a service again that did not answer."""


def due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a third of the certificate's lifetime or less is left."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= end - (end - begin) / 3


class Renewal(Part):
    """Watches over the certificate of one node."""

    FIGURES = (
        gauge(
            "sipfarm_certificate_expiry_timestamp_seconds",
            "When the node's certificate expires, as Unix time",
            lambda renewal: renewal.identity.expires_at.timestamp(),
            Unit.SECONDS,
        ),
    )

    def __init__(
        self,
        config: Config,
        identity: Identity,
        chance: random.Random,
    ) -> None:
        self._config = config
        self.identity = identity
        """This node's, as of its latest certificate."""
        self._chance = chance
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch, if the configuration names a service."""
        if self._config.enrollment.service:
            self._task = asyncio.create_task(self._keep_renewing(), name="renewal")

    async def stop(self) -> None:
        """End the task."""
        await tasks.end([self._task])

    async def _keep_renewing(self) -> None:
        while True:
            try:
                identity = await asyncio.to_thread(self._renew_if_due)
            except SipfarmError as error:
                log.warning("the certificate cannot be renewed: %s", error)
            else:
                if identity is not None:
                    self.identity = identity
                    log.info("the certificate is renewed until %s", identity.expires_at)
            await asyncio.sleep(CHECK_EVERY_S * (0.5 + self._chance.random()))

    # These run in a thread.

    def _renew_if_due(self) -> Identity | None:
        directory = Path(self._config.node.identity_dir)
        if not due(load_certificate(directory / files.NODE_CERTIFICATE), datetime.now(UTC)):
            return None
        mine = self.identity
        authority = load_ca_certificate(directory / files.CA_CERTIFICATE)
        context = trusting(authority)
        chain = (str(directory / files.NODE_CERTIFICATE), str(directory / files.NODE_KEY))
        context.load_cert_chain(*chain)
        key = keys.load(directory / files.NODE_KEY)
        question = Renew(csr_pem=request.make(key, mine.farm, mine.name, mine.address))
        service = split_address(self._config.enrollment.service, ENROLLMENT_PORT_DEFAULT)
        reply, _ = ask(service, question, Renewed, context, mine.farm)
        expires_at = _checked(reply.certificate_pem, authority, mine)
        files.write_public(directory / files.NODE_CERTIFICATE, reply.certificate_pem)
        # Links that come up from now on show the new certificate. OpenSSL gave the open ones a copy
        # of the old one.
        mine.server_context.load_cert_chain(*chain)
        mine.client_context.load_cert_chain(*chain)
        return dataclasses.replace(mine, expires_at=expires_at)


def _checked(pem: bytes, authority: x509.Certificate, mine: Identity) -> datetime:
    """When the new certificate expires. Raises `IdentityError` if it is not this node's."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise IdentityError("the enrollment service sent no certificate of the CA") from error
    peer = peer_of_certificate(certificate)
    if (peer.node_id, peer.name, peer.farm, peer.address) != (
        mine.node_id,
        mine.name,
        mine.farm,
        mine.address,
    ):
        raise IdentityError("the enrollment service sent the certificate of another node")
    return certificate.not_valid_after_utc
