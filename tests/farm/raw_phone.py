"""A phone that sends what it is told, byte by byte, and shows what it is sent.

In: SIP messages as text, a host of the lab. Out: `Message`s. For what real phones cannot be made to
do: their rarer header fields, their wrong ones, and attacks. It repeats nothing by itself but what
got no answer on UDP, as RFC 3261 17.1.2 wants.
"""

import contextlib
import ctypes
import itertools
import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from deploy.lab import Host, Lab, certificates
from deploy.lab.layout import NETNS_DIR
from overlay.records.subscriber import with_password
from proxy import digest, sip_uri
from tests.farm.asking import PASSWORD
from tests.farm.carriers import WebSocket, over_tls

SIP_PORT = 5060
_CLONE_NEWNET = 0x40000000
_REPEAT_S = 0.5
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """A SIP message that came in."""

    first_line: str
    fields: tuple[tuple[str, str], ...]
    source: tuple[str, int]

    @property
    def code(self) -> int:
        """The status; 0 for a request."""
        return int(self.first_line.split()[1]) if self.first_line.startswith("SIP/2.0 ") else 0

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.first_line.split()[1]

    def all(self, name: str) -> list[str]:
        """The values of all header fields of this name."""
        return [value for each, value in self.fields if each.lower() == name.lower()]

    def get(self, name: str) -> str:
        """The value of the first one; empty if there is none."""
        return next(iter(self.all(name)), "")


def socket_on(
    lab: Lab,
    host: str,
    kind: socket.SocketKind,
    family: socket.AddressFamily = socket.AF_INET,
) -> socket.socket:
    """A socket in a host's network; the calling thread stays where it is."""
    made: list[socket.socket] = []
    lab.node(host) if host.startswith("n") else lab.phone(host)

    def make() -> None:
        descriptor = os.open(NETNS_DIR / host, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(family, kind))
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class RawPhone:
    """One socket of one user: UDP, or a connection to one node, `over` tcp, tls, ws or wss;
    with `ipv6` by the hosts' IPv6 addresses."""

    def __init__(
        self,
        lab: Lab,
        host: str,
        user: str,
        *,
        tcp_to: str = "",
        over: str = "tcp",
        ipv6: bool = False,
        algorithm: str = "SHA-256",
        password: str = PASSWORD,
    ) -> None:
        self.farm, self.user, self._lab = lab.farm, user, lab
        self._algorithm = algorithm
        self._record = with_password(f"{user}@{lab.farm}", password, version=1)
        self._tcp = bool(tcp_to)
        self._held = b""
        kind = socket.SOCK_STREAM if tcp_to else socket.SOCK_DGRAM
        self.transport = over if tcp_to else "udp"
        self._ipv6 = ipv6
        with contextlib.ExitStack() as undo:
            family = socket.AF_INET6 if ipv6 else socket.AF_INET
            plain = undo.enter_context(socket_on(lab, host, kind, family))
            self._socket = self._connected(plain, tcp_to, over) if tcp_to else plain
            if not tcp_to:
                plain.bind((self._address_of(lab.phone(host)), 0))
            undo.pop_all()
        self.address, self.port = self._socket.getsockname()[:2]
        self.call_id = uuid.uuid4().hex
        self.cseqs = itertools.count(1)

    @classmethod
    def on_connection(cls, lab: Lab, connection: socket.socket, user: str) -> Self:
        """The same user's phone, on a connection that a node has opened to it."""
        phone = cls(lab, lab.describe().phones[0].name, user)
        phone._socket.close()
        phone._socket, phone._tcp, phone.transport = connection, True, "tcp"
        return phone

    @property
    def aor(self) -> str:
        """This user's address-of-record as a URI."""
        return f"sip:{self.user}@{self.farm}"

    @property
    def contact(self) -> str:
        """A Contact URI that is right."""
        transport = f";transport={uri_transport(self.transport)}" if self._tcp else ""
        return f"sip:{self.user}@{self._sent_by}{transport}"

    @property
    def _sent_by(self) -> str:
        """What the phone takes for its address; a browser knows none (RFC 7118 5.2)."""
        if self.transport in ("ws", "wss"):
            return f"{self.user}-{self.port}.invalid"
        return f"{sip_uri.bracketed(self.address)}:{self.port}"

    def _address_of(self, host: Host) -> str:
        return host.address6 if self._ipv6 else host.address

    def ask(
        self,
        node: str,
        method: str,
        uri: str,
        fields: Sequence[str] = (),
        *,
        from_uri: str = "",
        to_uri: str = "",
        to_tag: str = "",
        from_tag: str = "caller",
        call_id: str = "",
        cseq: int = 0,
        prove: bool = True,
        timeout_s: float = 20.0,
    ) -> Message:
        """The final answer to a request; a challenge is answered once. Of an INVITE, refusals are
        acknowledged, and provisional answers passed over."""
        extra = list(fields)
        number = cseq or next(self.cseqs)
        for _ in range(2):
            text, branch = self.request_text(
                *(method, uri, extra),
                from_uri=from_uri,
                to_uri=to_uri,
                to_tag=to_tag,
                from_tag=from_tag,
                call_id=call_id or self.call_id,
                cseq=number,
            )
            answer = self._transact(node, text, branch, timeout_s)
            if method == "INVITE" and answer.code >= 300:
                self.send(node, self.ack_of(text, answer))
            if answer.code not in (401, 407) or not prove:
                return answer
            extra = [*fields, self.proof_for(answer, method, uri)]
            number = number + 1 if cseq else next(self.cseqs)
        return answer

    def register(
        self, node: str, parameters: str = "", fields: Sequence[str] = (), *, uri: str = ""
    ) -> Message:
        """Register this phone's Contact with these header parameters."""
        contact = f"Contact: <{uri or self.contact}>{parameters}"
        return self.ask(node, "REGISTER", f"sip:{self.farm}", [contact, *fields], to_uri=self.aor)

    def proof_for(self, challenge: Message, method: str, uri: str, count: int = 1) -> str:
        """The header field that answers a challenge, by this phone's algorithm."""
        name = "WWW-Authenticate" if challenge.code == 401 else "Proxy-Authenticate"
        value = next(each for each in challenge.all(name) if self._algorithm in each)
        nonce = value.partition('nonce="')[2].partition('"')[0]
        text = (
            f'Digest username="{self.user}", realm="{self.farm}", nonce="{nonce}", uri="{uri}", '
            f'algorithm={self._algorithm}, qop=auth, nc={count:08x}, cnonce="x"'
        )
        found = digest.parse(f'{text}, response="?"')
        assert found is not None
        ha1 = self._record.ha1 if self._algorithm == "MD5" else self._record.ha1_sha256
        header = "Authorization" if challenge.code == 401 else "Proxy-Authorization"
        return f'{header}: {text}, response="{digest.response(found, ha1, method)}"'

    def reply(self, request: Message, code: int, reason: str, fields: Sequence[str] = ()) -> None:
        """Answer a request that came in."""
        echoed = [f"{name}: {value}" for name, value in request.fields if name in _ECHOED]
        tagged = [
            f"{each};tag=callee" if each.startswith("To:") and ";tag=" not in each else each
            for each in echoed
        ]
        head = [f"SIP/2.0 {code} {reason}", *tagged, *fields, "Content-Length: 0"]
        self._write("\r\n".join(head) + "\r\n\r\n", request.source)

    def send(self, node: str, text: str) -> None:
        """Send this text as it is."""
        self._write(text, (self._address_of(self._lab.node(node)), SIP_PORT))

    def send_bytes(self, node: str, data: bytes) -> None:
        """Send these bytes, whether they are a message or not."""
        if self._tcp:
            self._socket.sendall(data)
        else:
            address = self._address_of(self._lab.node(node))
            self._socket.sendto(data, (address, SIP_PORT))  # type: ignore[union-attr]

    def receive_bytes(self, timeout_s: float) -> bytes:
        """The next datagram as it is."""
        self._socket.settimeout(max(0.001, timeout_s))
        return self._socket.recv(65_535)

    def receive(self, timeout_s: float = 20.0) -> Message:
        """The next message; raises `TimeoutError` if none comes."""
        self._socket.settimeout(max(0.001, timeout_s))
        if isinstance(self._socket, socket.socket) and not self._tcp:
            data, source = self._socket.recvfrom(65_535)
            return parsed(data, source)
        while b"\r\n\r\n" not in self._held.lstrip(b"\r\n"):
            more = self._socket.recv(65_535)
            if not more:
                raise ConnectionError("the node closed the connection")
            self._held += more
        head, _, rest = self._held.lstrip(b"\r\n").partition(b"\r\n\r\n")
        message = parsed(head, self._socket.getpeername())
        self._held = rest[int(message.get("Content-Length") or 0) :]
        return message

    def await_request(self, method: str, timeout_s: float = 20.0) -> Message:
        """The next request of this method; all else is passed over."""
        until_s = time.monotonic() + timeout_s
        while True:
            message = self.receive(until_s - time.monotonic())
            if message.first_line.startswith(f"{method} "):
                return message

    def is_left_alone(self, method: str, for_s: float) -> bool:
        """Whether no request of this method comes for so long."""
        try:
            self.await_request(method, for_s)
        except TimeoutError:
            return True
        return False

    def request_text(
        self,
        method: str,
        uri: str,
        fields: Sequence[str] = (),
        *,
        from_uri: str = "",
        to_uri: str = "",
        to_tag: str = "",
        from_tag: str = "caller",
        call_id: str,
        cseq: int,
    ) -> tuple[str, str]:
        """A request's text, and its branch; `uri` stands in To where there is no `to_uri`."""
        branch = f"z9hG4bK{os.getpid()}-{next(_numbers)}"
        transport = self.transport.upper()
        # Phones in browsers do not ask for it.
        rport = "" if transport in ("WS", "WSS") else ";rport"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{transport} {self._sent_by};branch={branch}{rport}",
            f"From: <{from_uri or self.aor}>;tag={from_tag}",
            f"To: <{to_uri or uri}>{f';tag={to_tag}' if to_tag else ''}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            *fields,
        ]
        names = {line.partition(":")[0].lower() for line in lines}
        if "max-forwards" not in names:
            lines.append("Max-Forwards: 70")
        if method == "INVITE" and "contact" not in names:
            lines.append(f"Contact: <{self.contact}>")
        return "\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n", branch

    def ack_of(self, invite: str, answer: Message) -> str:
        """The ACK of a refused INVITE (RFC 3261 17.1.1.3)."""
        lines = invite.split("\r\n")
        kept = [line for line in lines if line.startswith(("Via:", "From:", "Call-ID:", "Max-"))]
        cseq = answer.get("CSeq").split()[0]
        head = [lines[0].replace("INVITE", "ACK", 1), *kept, f"To: {answer.get('To')}"]
        return "\r\n".join([*head, f"CSeq: {cseq} ACK", "Content-Length: 0"]) + "\r\n\r\n"

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _connected(self, plain: socket.socket, node: str, over: str) -> socket.socket | WebSocket:
        plain.settimeout(5)
        port = {"tcp": SIP_PORT, **self._lab.config(node).proxy.further_ports}[over]
        plain.connect((self._address_of(self._lab.node(node)), port))
        if over in ("tls", "wss"):
            plain = over_tls(plain, self.farm, certificates.AUTHORITY)
        if over in ("ws", "wss"):
            return WebSocket(plain, f"{over}://{self.farm}:{port}/")
        return plain

    def _transact(self, node: str, text: str, branch: str, timeout_s: float) -> Message:
        until_s = time.monotonic() + timeout_s
        self.send(node, text)
        heard = False
        while True:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no answer to {text.splitlines()[0]}")
            with contextlib.suppress(TimeoutError):
                message = self.receive(min(left_s, _REPEAT_S))
                if f"branch={branch}" not in message.get("Via"):
                    continue
                heard = True
                if message.code >= 200:
                    return message
                continue
            if not self._tcp and not heard:
                self.send(node, text)

    def _write(self, text: str, to: tuple[str, int]) -> None:
        if self._tcp or isinstance(self._socket, WebSocket):
            self._socket.sendall(text.encode())
        else:
            self._socket.sendto(text.encode(), to)


def uri_transport(transport: str) -> str:
    """The transport as URIs name it: that it is encrypted, WebSocket does not say (RFC 7118 5)."""
    return "ws" if transport == "wss" else transport


_ECHOED = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")


def parsed(data: bytes, source: tuple[str, int]) -> Message:
    """A message's first line and header."""
    text = data.decode(errors="surrogateescape")
    first, *lines = text.partition("\r\n\r\n")[0].split("\r\n")
    fields = tuple(
        (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    return Message(first, fields, (source[0], source[1]))
