"""A certificate that grows old is renewed while the node runs."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from overlay.base.errors import IdentityError
from overlay.config.config import Config
from overlay.config.sections import EnrollmentSection
from overlay.daemon.node import Node
from overlay.enrollment.authority_client import ask, trusting
from overlay.enrollment.enrollment_messages import Renew, Renewed
from overlay.enrollment.renewal import due
from overlay.identity import ca, files, identity, keys, request
from overlay.identity.identity import load_ca_certificate, load_certificate
from tests.daemons.farm_of_nodes import Farm, play
from tests.waiting import until

from .conftest import FARM, HOST, Operator, serving

LONG_AGO = timedelta(days=300)


def test_a_certificate_is_due_in_the_last_third_of_its_lifetime(operator: Operator) -> None:
    ca.issue(operator.ca, FARM, "n1", HOST, operator.ca / "n1", days=30)
    certificate = load_certificate(operator.ca / "n1" / "node.pem")
    now = datetime.now(UTC)
    assert not due(certificate, now + timedelta(days=19, hours=23))
    assert due(certificate, now + timedelta(days=20, hours=1))


def grow_old(farm: Farm, name: str, service: int) -> Config:
    """A node's configuration, whose certificate is 300 days old."""
    config = farm.config(name)
    etc = Path(config.node.identity_dir)
    then = datetime.now(UTC) - LONG_AGO
    csr_pem = request.make(keys.load(etc / files.NODE_KEY), FARM, name, config.node.address)
    pem = ca.sign(farm.directory / "ca", csr_pem, name, config.node.address, now=then)
    (etc / files.NODE_CERTIFICATE).write_bytes(pem)
    return msgspec.structs.replace(
        config, enrollment=EnrollmentSection(service=f"{HOST}:{service}")
    )


def test_a_running_node_gets_a_new_certificate_and_shows_it(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        with serving(farm.directory / "ca") as port:
            config = grow_old(farm, "n1", port)
            path = Path(config.node.identity_dir) / files.NODE_CERTIFICATE
            old = load_certificate(path)
            node = Node(config, identity.load(config))
            await node.start()
            farm.nodes["n1"] = node
            await until(lambda: load_certificate(path) != old, what="renewed")
            new = load_certificate(path)
            assert new.not_valid_after_utc > datetime.now(UTC) + timedelta(days=360)
            await until(lambda: node.identity.expires_at == new.not_valid_after_utc)
        await farm.start("n2")
        await farm.joined()
        # Two, if both nodes dialled at once.
        links = list(farm.nodes["n2"].network._open)
        assert links
        for link in links:
            assert link._transport is not None
            tls = link._transport.get_extra_info("ssl_object")
            assert ssl.DER_cert_to_PEM_cert(tls.getpeercert(True)).encode() == files.pem(new)
        assert ca.issued(farm.directory / "ca")[-2].by == f"renewal from {HOST}"

    play(tmp_path, story)


def test_a_service_that_is_away_costs_nothing_but_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(farm: Farm) -> None:
        config = grow_old(farm, "n1", 1)
        node = Node(config, identity.load(config))
        await node.start()
        farm.nodes["n1"] = node
        await until(lambda: "cannot be renewed" in caplog.text, what="told")

    play(tmp_path, story)


@contextmanager
def old_node(operator: Operator, name: str, age: timedelta) -> Iterator[tuple[Path, bytes]]:
    """The directory of a node whose certificate has this age, and a request for its key."""
    into = operator.ca.parent / name
    ca.issue(operator.ca, FARM, name, HOST, into, now=datetime.now(UTC) - age)
    yield into, request.make(keys.load(into / files.NODE_KEY), FARM, name, HOST)


def renew(operator: Operator, into: Path | None, csr_pem: bytes) -> Renewed:
    context = trusting(load_ca_certificate(operator.ca / files.CA_CERTIFICATE))
    if into is not None:
        context.load_cert_chain(into / files.NODE_CERTIFICATE, into / files.NODE_KEY)
    return ask((HOST, operator.port), Renew(csr_pem=csr_pem), Renewed, context, FARM)[0]


def test_names_come_from_the_certificate_and_not_from_the_request(operator: Operator) -> None:
    with old_node(operator, "n1", LONG_AGO) as (into, _):
        greedy = request.make(keys.load(into / files.NODE_KEY), FARM, "n2", "192.0.2.9")
        renew(operator, into, greedy)
        entry = ca.issued(operator.ca)[-1]
        assert (entry.node, entry.address) == ("n1", HOST)


def test_who_may_not_renew(operator: Operator) -> None:
    with old_node(operator, "n1", LONG_AGO) as (into, csr_pem):
        with pytest.raises(IdentityError, match="must show its certificate"):
            renew(operator, None, csr_pem)
        foreign = request.make(keys.generate(), FARM, "n1", HOST)
        with pytest.raises(IdentityError, match="for another key"):
            renew(operator, into, foreign)
        ca.revoke(operator.ca, "n1")
        with pytest.raises(IdentityError, match="was revoked"):
            renew(operator, into, csr_pem)
    with (
        old_node(operator, "n2", timedelta(days=100)) as (into, csr_pem),
        pytest.raises(IdentityError, match="not due for renewal"),
    ):
        renew(operator, into, csr_pem)
