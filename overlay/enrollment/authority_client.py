"""Asks the enrollment service one question, and receives its answer.

In: a question, and the CA to trust. Out: the answer; a refusal is an error. Counterparts:
`service.py` answers; `joining.py` and `renewal.py` ask. This is blocking code, for a command or a
thread.
"""

import socket
import ssl
import time
from typing import Final, TypeVar

import msgspec
from cryptography import x509

from overlay.base import frames
from overlay.base.errors import IdentityError, ProtocolError, UnavailableError
from overlay.base.limits import ENROLLMENT_FRAME_BYTES_MAX
from overlay.enrollment import enrollment_messages
from overlay.enrollment.enrollment_messages import Denied
from overlay.identity import files, template

ANSWER_WITHIN_S: Final = 10.0

A = TypeVar("A", bound=enrollment_messages.EnrollmentReply)


def trusting(authority: x509.Certificate) -> ssl.SSLContext:
    """A TLS context that trusts this CA alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=files.pem(authority).decode())
    return context


def ask(
    service: tuple[str, int],
    question: enrollment_messages.EnrollmentQuestion,
    kind: type[A],
    context: ssl.SSLContext,
    farm: str,
) -> tuple[A, str]:
    """The answer, and the address that this node has on the connection.

    `farm` is the farm whose service this must be. If it is empty, `context` alone says what is
    checked. Raises `UnavailableError` if the service cannot be reached, `IdentityError` if it
    refuses or is not the right one.
    """
    where = f"{service[0]}:{service[1]}"
    name = template.service_name(farm) if farm else None
    try:
        with (
            socket.create_connection(service, ANSWER_WITHIN_S) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            connection.sendall(frames.pack(enrollment_messages.encode(question)))
            until_s = time.monotonic() + ANSWER_WITHIN_S
            payload = frames.receive(connection.recv, ENROLLMENT_FRAME_BYTES_MAX, until_s)
            reply = enrollment_messages.decode_reply(payload)
            own_address = str(connection.getsockname()[0])
    except ssl.SSLCertVerificationError as error:
        raise IdentityError(f"{where}: {error.verify_message}") from error
    except OSError as error:
        raise UnavailableError(f"{where}: the enrollment service: {error}") from error
    except (EOFError, ProtocolError, msgspec.MsgspecError) as error:
        raise UnavailableError(f"{where}: the enrollment service gave no answer") from error
    if isinstance(reply, Denied):
        raise IdentityError(f"{where}: {reply.reason}")
    if not isinstance(reply, kind):
        raise IdentityError(f"{where}: an answer to another question")
    return reply, own_address
