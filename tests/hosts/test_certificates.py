"""The certificate for phones is renewed while they call."""

import socket
import ssl
from typing import Final

from tests.hosts import inventory
from tests.hosts.documents import UPGRADE
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import FARM, SIP_AUTHORITY

_TLS_PORT: Final = 5061


def test_phones_are_shown_the_new_certificate(farm: HostsFarm) -> None:
    new = ssl.PEM_cert_to_DER_cert(inventory.make_certificate().decode())
    assert all(_shown(farm, name) != new for name in farm.nodes)
    with farm.load() as tally:
        farm.type(UPGRADE, "Renew certificates")
    assert tally.failed == [], tally.refusals
    assert {name: _shown(farm, name) for name in farm.nodes} == dict.fromkeys(farm.nodes, new)


def _shown(farm: HostsFarm, name: str) -> bytes:
    """The certificate, as a phone gets it, in DER."""
    context = ssl.create_default_context(cafile=SIP_AUTHORITY.certificate)
    address = (farm.hosts.address(name), _TLS_PORT)
    with (
        socket.create_connection(address, 10) as plain,
        context.wrap_socket(plain, server_hostname=FARM) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return shown
