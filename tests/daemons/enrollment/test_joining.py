"""A node with a token joins at an operator's service; impostors on either side fail."""

import asyncio
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from overlay.base.errors import ConfigError, IdentityError, UnavailableError
from overlay.base.frames import pack
from overlay.base.limits import ENROLLMENT_FAILURES_PER_MINUTE_MAX
from overlay.config import config as configuration
from overlay.control import operator_messages, proxy_messages
from overlay.daemon.node import Node
from overlay.enrollment import enrollment_messages, token_book
from overlay.enrollment.enrollment_messages import AskAuthority, Authority, Denied, Enroll
from overlay.enrollment.joining import Joined, Wishes, join
from overlay.enrollment.token import Token
from overlay.identity import ca, files, identity, keys, ledger, peer
from tests.daemons.farm_of_nodes import Farm, play

from .conftest import FARM, HOST, Operator, serving


def wishes(home: Path, node: str = "n1", address: str = "192.0.2.1") -> Wishes:
    return Wishes(config=home / "farm.toml", node=node, address=address)


def used(operator: Operator, token: Token) -> bool:
    with ledger.locked_lines(operator.ca / files.TOKENS, token_book.TokenEntry) as book:
        return any(e.used_by for e in book.entries if e.token_id == token.token_id.hex())


def test_a_node_gets_all_that_it_needs(operator: Operator, tmp_path: Path) -> None:
    token = operator.token("n4")
    done = join(token, Wishes(config=tmp_path / "n4" / "farm.toml"))
    assert not done.already
    assert (done.identity.name, done.identity.farm) == ("n4", FARM)
    # Nothing was typed: the address is the one that the node has towards the service.
    assert done.identity.address == HOST
    assert sorted(path.name for path in (tmp_path / "n4").iterdir()) == [
        "ca.pem",
        "farm.secret",
        "farm.toml",
        "node.key",
        "node.pem",
        "operator.pem",
    ]
    assert configuration.load(tmp_path / "n4" / "farm.toml") == done.config
    assert done.config.node.identity_dir == str(tmp_path / "n4")
    assert identity.load(done.config).farm_secret == files.read_farm_secret(operator.ca)
    (entry,) = ca.issued(operator.ca)
    assert entry.by == f"token {token.token_id.hex()} from {HOST}"
    assert entry.node_id == done.identity.node_id.hex()


def test_joining_again_changes_nothing(operator: Operator, tmp_path: Path) -> None:
    token = operator.token()
    first = join(token, wishes(tmp_path / "n1"))
    before = {path: path.read_bytes() for path in (tmp_path / "n1").iterdir()}
    again = join(token, wishes(tmp_path / "n1"))
    assert (first.already, again.already) == (False, True)
    assert {path: path.read_bytes() for path in (tmp_path / "n1").iterdir()} == before
    # As if the answer had been lost: the same key with the same token.
    (tmp_path / "n1" / "node.pem").unlink()
    repeated = join(token, wishes(tmp_path / "n1"))
    assert repeated.identity.node_id == first.identity.node_id
    assert not repeated.already


def test_a_token_does_not_let_a_second_node_in(operator: Operator, tmp_path: Path) -> None:
    token = operator.token()
    join(token, wishes(tmp_path / "n1"))
    with pytest.raises(IdentityError, match="was used before"):
        join(token, wishes(tmp_path / "n2", "n2", "192.0.2.2"))
    with serving(operator.ca) as port, pytest.raises(IdentityError, match="was used before"):
        join(msgspec.structs.replace(token, port=port), wishes(tmp_path / "n2", "n2", "192.0.2.2"))
    assert not (tmp_path / "n2" / "node.pem").exists()
    assert len(ca.issued(operator.ca)) == 1


def test_an_expired_token_is_named_so(operator: Operator, tmp_path: Path) -> None:
    then = datetime.now(UTC) - timedelta(hours=2)
    token = token_book.make(operator.ca, (HOST, operator.port), "", timedelta(hours=1), then)
    with pytest.raises(IdentityError, match="the token expired at"):
        join(token, wishes(tmp_path / "n1"))
    assert not used(operator, token)


def test_a_refused_node_has_what_it_had_before(operator: Operator, tmp_path: Path) -> None:
    then = datetime.now(UTC) - timedelta(hours=2)
    expired = token_book.make(operator.ca, (HOST, operator.port), "", timedelta(hours=1), then)
    new, home = tmp_path / "new" / "etc", tmp_path / "n1"
    with pytest.raises(IdentityError, match="expired"):
        join(expired, wishes(new))
    assert not new.parent.exists()
    home.mkdir()
    with pytest.raises(IdentityError, match="expired"):
        join(expired, wishes(home))
    assert list(home.iterdir()) == []
    keys.save(keys.generate(), home / files.NODE_KEY)
    key = (home / files.NODE_KEY).read_bytes()
    with pytest.raises(IdentityError, match="expired"):
        join(expired, wishes(home))
    assert {path.name: path.read_bytes() for path in home.iterdir()} == {files.NODE_KEY: key}


def test_the_key_outlives_an_answer_that_is_lost(operator: Operator, tmp_path: Path) -> None:
    """A token is good for one key: it may have been used for this one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        operator.ca / files.SERVICE_CERTIFICATE, operator.ca / files.SERVICE_KEY
    )
    pem = (operator.ca / files.CA_CERTIFICATE).read_bytes()
    listener = socket.create_server((HOST, 0))

    def answer_once() -> None:
        for answer in (pack(enrollment_messages.encode(Authority(certificate_pem=pem))), b""):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(answer)

    service = threading.Thread(target=answer_once)
    service.start()
    token = operator.token()
    away = msgspec.structs.replace(token, port=listener.getsockname()[1])
    with pytest.raises(UnavailableError, match="gave no answer"):
        join(away, wishes(tmp_path / "n1"))
    service.join(10)
    listener.close()
    key = (tmp_path / "n1" / files.NODE_KEY).read_bytes()
    join(token, wishes(tmp_path / "n1"))
    assert (tmp_path / "n1" / files.NODE_KEY).read_bytes() == key


def test_another_ca_is_not_shown_the_token(operator: Operator, tmp_path: Path) -> None:
    ca.create(tmp_path / "other", FARM)
    with serving(tmp_path / "other") as port:
        token = msgspec.structs.replace(operator.token(), port=port)
        with pytest.raises(IdentityError, match="is not the enrollment service of the token's CA"):
            join(token, wishes(tmp_path / "n1"))
    assert not used(operator, token)


def test_a_node_cannot_pass_for_the_service(operator: Operator, tmp_path: Path) -> None:
    """A thief of a node's key stands between: the right CA, a certificate of it, the wrong name."""
    ca.issue(operator.ca, FARM, "n7", HOST, tmp_path / "n7")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "n7" / "node.pem", tmp_path / "n7" / "node.key")
    heard: list[bytes] = []
    listener = socket.create_server((HOST, 0))

    def pretend() -> None:
        for _ in range(2):
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    heard.append(connection.recv(65536))
                    pem = (operator.ca / "ca.pem").read_bytes()
                    connection.sendall(
                        pack(enrollment_messages.encode(Authority(certificate_pem=pem)))
                    )
            except OSError:
                heard.append(b"")

    thief = threading.Thread(target=pretend)
    thief.start()
    token = msgspec.structs.replace(operator.token(), port=listener.getsockname()[1])
    with pytest.raises(IdentityError, match=r"[Hh]ostname mismatch"):
        join(token, wishes(tmp_path / "n1"))
    thief.join(10)
    listener.close()
    assert not any(token.secret in each for each in heard)


def test_the_services_certificate_is_no_nodes(operator: Operator) -> None:
    certificate = identity.load_certificate(operator.ca / files.SERVICE_CERTIFICATE)
    with pytest.raises(IdentityError, match="not a node's certificate"):
        peer.peer_of_certificate(certificate)


def test_an_unreachable_service_is_told_and_can_be_tried_again(
    operator: Operator, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        away = msgspec.structs.replace(operator.token(), port=free.getsockname()[1])
        with pytest.raises(UnavailableError, match=r"the enrollment service: .*refused"):
            join(away, wishes(tmp_path / "n1"))
    join(msgspec.structs.replace(away, port=operator.port), wishes(tmp_path / "n1"))


def test_a_name_belongs_to_one_node_and_a_refusal_does_not_cost_the_token(
    operator: Operator, tmp_path: Path
) -> None:
    join(operator.token(), wishes(tmp_path / "n1"))
    token = operator.token()
    with pytest.raises(IdentityError, match="the name n1 belongs to the node"):
        join(token, wishes(tmp_path / "n2", "n1", "192.0.2.2"))
    join(token, wishes(tmp_path / "n2", "n2", "192.0.2.2"))


def test_a_token_with_a_name_is_for_that_name(operator: Operator, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"n5 is asked for|n4 is asked for"):
        join(operator.token("n4"), wishes(tmp_path / "n5", "n5"))


def test_a_farm_toml_that_is_there_stays(operator: Operator, tmp_path: Path) -> None:
    text = (
        f'[farm]\nname = "{FARM}"\n[node]\nname = "n6"\naddress = "192.0.2.6"\n'
        f'identity_dir = "{tmp_path / "identity"}"\n'
    )
    (tmp_path / "farm.toml").write_text(text)
    done = join(operator.token(), Wishes(config=tmp_path / "farm.toml"))
    assert (done.identity.name, done.identity.address) == ("n6", "192.0.2.6")
    assert (tmp_path / "farm.toml").read_text() == text
    other = tmp_path / "other.toml"
    other.write_text(text.replace(FARM, "other.test"))
    with pytest.raises(ConfigError, match=r"is of the farm other.test, not of farm.test"):
        join(operator.token(), Wishes(config=other))


def test_a_node_is_told_the_farms_settings_where_others_are_and_who_is_out(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "ca"
    ca.create(directory, FARM)
    for number in (1, 2, 3):
        ca.issue(directory, FARM, f"n{number}", f"192.0.2.{number}", tmp_path / f"n{number}")
    ca.issue(directory, FARM, "n8", "2001:db8::8", tmp_path / "n8")
    revoked, _ = ca.revoke(directory, "n2")
    settings = {"overlay": {"port": 7999}, "proxy": {"workers": 2}}
    with serving(directory, settings, 7999) as port:
        token = Operator(ca=directory, port=port).token()
        done = join(token, wishes(tmp_path / "n4", "n4", "192.0.2.4"))
    assert done.config.overlay.bootstrap == (
        "[2001:db8::8]:7999",
        "192.0.2.3:7999",
        "192.0.2.1:7999",
    )
    assert (done.config.overlay.port, done.config.proxy.workers) == (7999, 2)
    assert done.identity.revoked == revoked


def ask_raw(port: int, data: bytes) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((HOST, port), 10) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(data)
        return connection.makefile("rb").read()


def test_nonsense_is_not_answered_and_the_service_goes_on(operator: Operator) -> None:
    for data in (pack(b""), pack(b"nonsense"), b"\xff\xff\xff\xff", pack(b"\xc1" * 1000)):
        assert ask_raw(operator.port, data) == b""
    assert len(ask_raw(operator.port, pack(enrollment_messages.encode(AskAuthority())))) > 100


def test_who_guesses_is_soon_not_listened_to(operator: Operator) -> None:
    csr = b"-----BEGIN CERTIFICATE REQUEST-----"
    guess = pack(
        enrollment_messages.encode(Enroll(token_id=b"x" * 8, secret=b"y" * 20, csr_pem=csr))
    )
    codes = []
    for _ in range(ENROLLMENT_FAILURES_PER_MINUTE_MAX + 1):
        reply = enrollment_messages.decode_reply(ask_raw(operator.port, guess)[4:])
        assert isinstance(reply, Denied)
        codes.append(reply.code)
    assert codes == ["refused"] * ENROLLMENT_FAILURES_PER_MINUTE_MAX + ["busy"]


def test_a_node_serves_within_seconds_of_its_token(tmp_path: Path) -> None:
    """From the token to a node that is a member, is ready, and serves what others stored."""

    async def story(farm: Farm) -> None:
        await farm.start("n1", "n2")
        await farm.joined()
        await farm.ask(
            "n1", operator_messages.PutSubscriber(record=farm.subscriber("a@farm.test", "x", 1))
        )
        port = farm.nodes["n1"].config.overlay.port
        loop = asyncio.get_running_loop()
        home = tmp_path / "n3"
        with serving(farm.directory / "ca", {"overlay": {"port": port}}, port) as service:
            token = token_book.make(
                farm.directory / "ca",
                (HOST, service),
                "n3",
                timedelta(hours=1),
                datetime.now(UTC),
            )
            began_s = time.monotonic()

            def enroll() -> Joined:
                wanted = Wishes(
                    config=home / "etc" / "farm.toml",
                    address="127.0.7.3",
                    data_dir=str(home / "data"),
                    run_dir=str(home / "run"),
                )
                return join(token, wanted)

            joined = await loop.run_in_executor(None, enroll)
            node = Node(joined.config, joined.identity)
            await node.start()
            farm.nodes["n3"] = node
            await farm.joined()
            unready = await node.control.readiness.check()
            took_s = time.monotonic() - began_s
        assert unready == ()
        assert (await farm.ask("n3", proxy_messages.Authenticate(aor="a@farm.test"))).ha1
        assert took_s < 15.0

    play(tmp_path, story)


def test_the_key_never_leaves_the_node(operator: Operator, tmp_path: Path) -> None:
    done = join(operator.token(), wishes(tmp_path / "n1"))
    path = Path(done.config.node.identity_dir) / files.NODE_KEY
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_bytes()
    for kept in operator.ca.iterdir():
        assert key not in kept.read_bytes()
    assert keys.node_id(keys.load(path).public_key()) == done.identity.node_id
