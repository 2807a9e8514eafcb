"""The enrollment service: gives nodes their certificates, on the operator's machine.

In: TLS connections with one question each. Out: the CA's certificate; for a token, all that a node
needs; for a certificate that grows old, the next one. Counterparts: `joining.py`, `renewal.py`.
Certificates are signed in a thread, because the ledgers are fsynced before an answer leaves.

The CA makes the service's own certificate for a name that no node can have. So no node can pass for
the service, and the service cannot pass for a node.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509

from overlay.base import frames, limit_hits, tasks
from overlay.base.errors import IdentityError, ProtocolError
from overlay.base.limits import (
    ENROLLMENT_CONNECTIONS_MAX,
    ENROLLMENT_FRAME_BYTES_MAX,
)
from overlay.enrollment import enrollment_messages, token_book
from overlay.enrollment.enrollment_messages import (
    AskAuthority,
    Authority,
    Denied,
    Enroll,
    Enrolled,
    EnrollmentReply,
    Renew,
    Renewed,
)
from overlay.enrollment.rate import RateLimit
from overlay.enrollment.token_book import TokenError
from overlay.identity import ca, files, operator, request, revocations
from overlay.identity.peer import peer_of_certificate

log = logging.getLogger(__name__)

ANSWER_WITHIN_S: Final = 10.0
BOOTSTRAP_MAX: Final = 8
NEW_CERTIFICATE_EVERY_S: Final = 30 * 86_400.0

Settings = dict[str, dict[str, Any]]


class EnrollmentService:
    """Answers the questions of nodes."""

    def __init__(
        self,
        directory: Path,
        settings: Settings,
        overlay_port: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._overlay_port = overlay_port
        self._now = now
        self._rate = RateLimit()
        self._open = 0
        self._server: asyncio.Server | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port that was chosen. Raises `IdentityError` or `OSError`."""
        ca.make_service_certificate(self._directory, now=self._now())
        context = _context(self._directory)
        self._server = await asyncio.start_server(
            self._connected,
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=ANSWER_WITHIN_S,
        )
        self._keeping = asyncio.create_task(self._keep_certificate(context))
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    async def stop(self) -> None:
        """Stop listening."""
        await tasks.end([self._keeping])
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _keep_certificate(self, context: ssl.SSLContext) -> None:
        """Make a new certificate for the service from time to time, because it may run for
        years."""
        while True:
            await asyncio.sleep(NEW_CERTIFICATE_EVERY_S)
            try:
                await asyncio.to_thread(ca.make_service_certificate, self._directory)
                _load_chain(context, self._directory)
            except IdentityError as error:
                log.error("the service's certificate cannot be made anew: %s", error)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[0])
        self._open += 1
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                reply = await self._reply(reader, peer, der)
                writer.write(frames.pack(enrollment_messages.encode(reply)))
                await writer.drain()
        except (OSError, EOFError, msgspec.MsgspecError, IdentityError, ProtocolError) as error:
            self._failed(peer)
            log.info("%s: %s", peer, error or type(error).__name__)
        finally:
            self._open -= 1
            writer.close()

    async def _reply(
        self, reader: asyncio.StreamReader, peer: str, certificate: bytes | None
    ) -> EnrollmentReply:
        loop = asyncio.get_running_loop()
        full = self._open > ENROLLMENT_CONNECTIONS_MAX
        if full:
            limit_hits.hit("ENROLLMENT_CONNECTIONS_MAX")
        if full or not self._rate.allows(peer, loop.time()):
            return Denied(code="busy", reason="too many attempts; try again in a minute")
        payload = await frames.read(reader.readexactly, ENROLLMENT_FRAME_BYTES_MAX)
        question = enrollment_messages.decode_question(payload)
        try:
            return await asyncio.to_thread(self._answer, question, peer, certificate)
        except TokenError as error:
            self._failed(peer)
            log.warning("%s: %s", peer, error)
            return Denied(code="token", reason=str(error))
        except IdentityError as error:
            self._failed(peer)
            log.warning("%s: %s", peer, error)
            return Denied(code="refused", reason=str(error))
        except Exception:
            log.exception("a question of %s failed", peer)
            return Denied(code="internal", reason="see the log of the enrollment service")

    def _failed(self, peer: str) -> None:
        self._rate.failed(peer, asyncio.get_running_loop().time())

    # These run in a thread.

    def _answer(
        self, question: enrollment_messages.EnrollmentQuestion, peer: str, certificate: bytes | None
    ) -> EnrollmentReply:
        if isinstance(question, AskAuthority):
            return Authority(
                certificate_pem=files.read_public(self._directory / files.CA_CERTIFICATE)
            )
        if isinstance(question, Renew):
            return self._renew(question, peer, certificate)
        assert isinstance(question, Enroll)
        return self._enroll(question, peer)

    def _enroll(self, question: Enroll, peer: str) -> Enrolled:
        directory, now = self._directory, self._now()
        asked = request.read(question.csr_pem)
        shared = (
            operator.load(directory / files.OPERATOR_PUBLIC).pem(),
            files.read_farm_secret(directory),
            ca.revocation_list(directory),
        )
        token = (question.token_id, question.secret)
        with token_book.redeemed(directory, *token, asked.node_id.hex(), now) as entry:
            node = entry.node or asked.node
            certificate = ca.sign(
                directory,
                question.csr_pem,
                node,
                asked.address,
                now=now,
                by=f"token {entry.token_id} from {peer}",
            )
        log.info("enrolled %s at %s, id %s", node, asked.address, asked.node_id.hex())
        return Enrolled(
            certificate_pem=certificate,
            operator_pem=shared[0],
            farm_secret=shared[1],
            bootstrap=self._bootstrap(asked.address),
            settings=self._settings,
            revocations=revocations.encode(shared[2]) if shared[2].version else b"",
        )

    def _renew(self, question: Renew, peer: str, der: bytes | None) -> Renewed:
        if der is None:
            raise IdentityError("a node must show its certificate to have it renewed")
        certificate = x509.load_der_x509_certificate(der)
        node = peer_of_certificate(certificate)
        if request.read(question.csr_pem).node_id != node.node_id:
            raise IdentityError(f"{node.name} asks for a certificate for another key")
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if self._now() < begin + (end - begin) / 2:
            raise IdentityError(f"the certificate of {node.name} is not due for renewal")
        pem = ca.sign(
            self._directory,
            question.csr_pem,
            node.name,
            node.address,
            now=self._now(),
            by=f"renewal from {peer}",
        )
        log.info("renewed %s at %s, id %s", node.name, node.address, node.node_id.hex())
        return Renewed(certificate_pem=pem)

    def _bootstrap(self, but: str) -> tuple[str, ...]:
        """The addresses of nodes that were enrolled, the newest first, without the address
        `but`."""
        now = self._now()
        revoked = {node_id.hex() for node_id in ca.revocation_list(self._directory).node_ids}
        found: dict[str, None] = {}
        for entry in reversed(ca.issued(self._directory)):
            if entry.expires_at > now and entry.node_id not in revoked and entry.address != but:
                host = f"[{entry.address}]" if ":" in entry.address else entry.address
                found[f"{host}:{self._overlay_port}"] = None
        return tuple(found)[:BOOTSTRAP_MAX]


def _context(directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    # A node that renews shows a certificate of the CA; a node that enrolls has none yet.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cafile=str(directory / files.CA_CERTIFICATE))
    _load_chain(context, directory)
    return context


def _load_chain(context: ssl.SSLContext, directory: Path) -> None:
    try:
        context.load_cert_chain(
            certfile=str(directory / files.SERVICE_CERTIFICATE),
            keyfile=str(directory / files.SERVICE_KEY),
        )
    except (OSError, ssl.SSLError) as error:
        raise IdentityError(f"{directory}: TLS refuses the certificate: {error}") from error
