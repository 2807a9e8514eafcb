"""The identity of a peer, by real handshakes; certificates that are not a node's are refused."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from overlay.base.errors import IdentityError
from overlay.identity import Peer, ca, identity, keys, peer_of
from overlay.identity.peer import peer_of_certificate
from tests.unit.identity.conftest import FARM, Enrolled, configure

Outcome = tuple[Peer | Exception, Peer | Exception]


async def _who(writer: asyncio.StreamWriter) -> Peer:
    return peer_of(writer.get_extra_info("ssl_object"), FARM)


async def _meet(server: ssl.SSLContext, client: ssl.SSLContext) -> Outcome:
    """Who each end of a link takes the other for: the server's view, then the client's."""
    seen: asyncio.Future[Peer | Exception] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(1)
            seen.set_result(await _who(writer))
            writer.write(b"y")
        except Exception as error:
            seen.set_result(error)
        finally:
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        mine: Peer | Exception
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        except (ssl.SSLError, ConnectionError) as error:
            return ConnectionError("refused by the client"), error
        try:
            writer.write(b"x")
            await reader.readexactly(1)
            mine = await _who(writer)
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError) as error:
            return ConnectionError("refused by the server"), error
        finally:
            writer.close()
        return await seen, mine


def _run(make: Callable[[], object], server: ssl.SSLContext, client: ssl.SSLContext) -> Outcome:
    with asyncio.Runner(loop_factory=make) as runner:  # type: ignore[arg-type]
        return runner.run(asyncio.wait_for(_meet(server, client), 10))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_ends_know_each_other(enrolled: Enrolled, loop: Callable[[], object]) -> None:
    ca.issue(enrolled.ca, FARM, "n2", "2001:db8::2", enrolled.node.parent / "n2")
    one = identity.load(enrolled.config)
    two = identity.load(configure(enrolled.node.parent / "n2", node="n2", address="2001:db8::2"))
    client, server = _run(loop, one.server_context, two.client_context)
    assert client == Peer(node_id=two.node_id, name="n2", farm=FARM, address="2001:db8::2")
    assert server == Peer(node_id=one.node_id, name="n1", farm=FARM, address="192.0.2.1")


def _contexts(directory: Path, farm: str = FARM) -> identity.Identity:
    ca.create(directory / "ca", farm)
    ca.issue(directory / "ca", farm, "n1", "192.0.2.1", directory / "n1")
    return identity.load(configure(directory / "n1"))


def test_a_node_of_another_ca_gets_no_link(enrolled: Enrolled, tmp_path: Path) -> None:
    mine, foreign = identity.load(enrolled.config), _contexts(tmp_path / "foreign")
    for server, client in ((mine, foreign), (foreign, mine)):
        outcome = _run(asyncio.new_event_loop, server.server_context, client.client_context)
        assert not any(isinstance(view, Peer) for view in outcome)


def test_a_client_without_certificate_gets_no_link(enrolled: Enrolled) -> None:
    mine = identity.load(enrolled.config)
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.load_verify_locations(enrolled.ca / "ca.pem")
    outcome = _run(asyncio.new_event_loop, mine.server_context, nobody)
    assert not any(isinstance(view, Peer) for view in outcome)


def test_an_expired_node_gets_no_link(tmp_path: Path) -> None:
    then = datetime.now(UTC) - timedelta(days=3)
    ca.create(tmp_path / "ca", FARM, now=then)
    for name, days in (("n1", 365), ("n2", 1)):
        ca.issue(tmp_path / "ca", FARM, name, "192.0.2.1", tmp_path / name, days, now=then)
    mine = identity.load(configure(tmp_path / "n1"))
    old = identity.load(configure(tmp_path / "n2", node="n2"), then)
    for server, client in ((mine, old), (old, mine)):
        outcome = _run(asyncio.new_event_loop, server.server_context, client.client_context)
        assert not any(isinstance(view, Peer) for view in outcome)


def test_tls_below_1_3_is_refused(enrolled: Enrolled) -> None:
    mine = identity.load(enrolled.config)
    assert mine.server_context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert mine.client_context.minimum_version is ssl.TLSVersion.TLSv1_3
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.load_verify_locations(enrolled.ca / "ca.pem")
    old.load_cert_chain(enrolled.node / "node.pem", enrolled.node / "node.key")
    outcome = _run(asyncio.new_event_loop, mine.server_context, old)
    assert not any(isinstance(view, Peer) for view in outcome)


def _certificate(
    subject: list[tuple[x509.ObjectIdentifier, str]],
    hosts: list[str] | None,
    *,
    is_ca: bool = False,
) -> x509.Certificate:
    key = keys.generate()
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now, now + timedelta(1)
    ).add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    if hosts is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256())


_CN, _O = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
_NODE = [(_O, FARM), (_CN, "n1")]


@pytest.mark.parametrize(
    ("certificate", "complaint"),
    [
        (_certificate([(_CN, "n1")], ["n1.farm.test"]), "must have one organizationName"),
        (_certificate([*_NODE, (_CN, "n2")], ["n1.farm.test"]), "must have one commonName"),
        (_certificate(_NODE, None), "No .*subjectAltName|not a node's"),
        (_certificate(_NODE, ["n2.farm.test", "farm.test"]), "host names are"),
        (_certificate(_NODE, ["n1.farm.test", "farm.test", "x.test"]), "host names are"),
        (_certificate(_NODE, ["n1.farm.test", "farm.test"]), "must have one address"),
        (_certificate(_NODE, ["n1.farm.test", "farm.test"], is_ca=True), "it is a CA's"),
    ],
)
def test_other_certificates_name_no_node(certificate: x509.Certificate, complaint: str) -> None:
    with pytest.raises(IdentityError, match=complaint):
        peer_of_certificate(certificate)


def test_a_peer_of_another_farm_is_refused(tmp_path: Path) -> None:
    ca.create(tmp_path / "ca", "other.test")
    ca.issue(tmp_path / "ca", "other.test", "n1", "192.0.2.1", tmp_path / "n1")

    class Connection:
        def getpeercert(self, binary_form: bool) -> bytes:
            pem = (tmp_path / "n1" / "node.pem").read_text()
            return ssl.PEM_cert_to_DER_cert(pem)

    connection: ssl.SSLObject = Connection()  # type: ignore[assignment]
    assert peer_of(connection).farm == "other.test"
    with pytest.raises(IdentityError, match=r"of the farm other.test, not of farm.test"):
        peer_of(connection, FARM)
