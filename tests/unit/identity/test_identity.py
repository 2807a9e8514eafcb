"""Loading an identity reports everything that can be wrong, by name."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from overlay.base.errors import IdentityError
from overlay.identity import ca, files, identity, keys

from .conftest import FARM, Enrolled, configure


def test_an_issued_identity_loads(enrolled: Enrolled) -> None:
    mine = identity.load(enrolled.config)
    assert (mine.name, mine.farm, mine.address) == ("n1", FARM, "192.0.2.1")
    assert mine.node_id == keys.node_id(keys.load(enrolled.node / "node.key").public_key())
    assert mine.farm_secret == files.read_farm_secret(enrolled.ca)
    assert mine.farm_secret not in repr(mine)


def test_an_ipv6_address_is_the_same_however_it_is_written(enrolled: Enrolled) -> None:
    into = enrolled.node.parent / "n6"
    ca.issue(enrolled.ca, FARM, "n6", "2001:db8:0::6", into)
    mine = identity.load(configure(into, node="n6", address="2001:0DB8::0006"))
    assert mine.address == "2001:db8::6"


@pytest.mark.parametrize("name", ["node.key", "node.pem", "ca.pem", "farm.secret", "operator.pem"])
def test_a_missing_file_is_named(enrolled: Enrolled, name: str) -> None:
    (enrolled.node / name).unlink()
    with pytest.raises(IdentityError, match=f"{name}: is missing"):
        identity.load(enrolled.config)


@pytest.mark.parametrize("name", ["node.key", "node.pem", "ca.pem", "farm.secret", "operator.pem"])
def test_a_tampered_file_is_named(enrolled: Enrolled, name: str) -> None:
    path = enrolled.node / name
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = b"!!!!!!!!"
    path.write_bytes(data)
    with pytest.raises(IdentityError, match=f"{name}: "):
        identity.load(enrolled.config)


def test_a_flipped_bit_in_the_certificate_breaks_its_signature(enrolled: Enrolled) -> None:
    path = enrolled.node / "node.pem"
    lines = path.read_text().splitlines()
    # The fourth line is inside the names, which parse in either case.
    lines[3] = lines[3].swapcase()
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(IdentityError, match=r"node.pem: "):
        identity.load(enrolled.config)


@pytest.mark.parametrize("name", ["node.key", "farm.secret"])
def test_secrets_that_others_can_read_are_refused(enrolled: Enrolled, name: str) -> None:
    (enrolled.node / name).chmod(0o640)
    with pytest.raises(IdentityError, match=f"{name}: mode 0640"):
        identity.load(enrolled.config)


def test_another_key_is_refused(enrolled: Enrolled) -> None:
    keys.save(keys.generate(), enrolled.node / "node.key")
    with pytest.raises(IdentityError, match=r"node.pem: is not for the key in .*node.key"):
        identity.load(enrolled.config)


def test_a_foreign_ca_is_refused_even_of_the_same_name(enrolled: Enrolled, tmp_path: Path) -> None:
    ca.create(tmp_path / "foreign", FARM)
    shutil.copy(tmp_path / "foreign" / "ca.pem", enrolled.node / "ca.pem")
    with pytest.raises(IdentityError, match=r"node.pem: is not signed by the CA in .*ca.pem"):
        identity.load(enrolled.config)


def test_a_node_is_no_ca(enrolled: Enrolled) -> None:
    shutil.copy(enrolled.node / "node.pem", enrolled.node / "ca.pem")
    with pytest.raises(IdentityError, match=r"ca.pem: is not a self-signed CA certificate"):
        identity.load(enrolled.config)


def test_the_cas_certificate_is_no_nodes(enrolled: Enrolled) -> None:
    shutil.copy(enrolled.ca / "ca.pem", enrolled.node / "node.pem")
    shutil.copy(enrolled.ca / "ca.key", enrolled.node / "node.key")
    with pytest.raises(IdentityError, match=r"node.pem: not a node's certificate"):
        identity.load(enrolled.config)


@pytest.mark.parametrize(
    ("moment", "complaint"),
    [
        (timedelta(days=366), "expired at .*sign the node's key again"),
        (timedelta(minutes=-10), "valid only from .*clock"),
    ],
)
def test_a_certificate_counts_only_in_its_time(
    enrolled: Enrolled, moment: timedelta, complaint: str
) -> None:
    with pytest.raises(IdentityError, match=complaint):
        identity.load(enrolled.config, datetime.now(UTC) + moment)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: configure(d, node="n2"), "is for the node n1, but n2 is configured"),
        (
            lambda d: configure(d, address="192.0.2.2"),
            "is for the address 192.0.2.1, but 192.0.2.2 is configured",
        ),
    ],
)
def test_the_certificate_must_be_what_is_configured(
    enrolled: Enrolled, change: Callable[..., object], complaint: str
) -> None:
    changed = change(enrolled.node)
    with pytest.raises(IdentityError, match=re.escape(complaint)):
        identity.load(changed)  # type: ignore[arg-type]


def test_another_farms_identity_is_refused(tmp_path: Path) -> None:
    ca.create(tmp_path / "ca", "other.test")
    ca.issue(tmp_path / "ca", "other.test", "n1", "192.0.2.1", tmp_path / "n1")
    with pytest.raises(IdentityError, match=r"is for the farm other.test, but farm.test"):
        identity.load(configure(tmp_path / "n1"))
