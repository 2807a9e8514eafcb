"""A first node is made by hand, as docs/install.md says, and playbooks take it over as it is."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from deploy.hosts import Hosts, packages
from deploy.hosts.layout import DATA_DIR
from tests.hosts import inventory
from tests.hosts.conftest import Packages
from tests.hosts.documents import COMMANDS, INSTALL, Reader, environment
from tests.hosts.inventory import NODES, OPERATOR
from tests.hosts.playbooks import play

_COMMANDS_MAX: Final = 10
_USER: Final = "maintainer"
_ADD_USER: Final = f"""
useradd --create-home --shell /bin/bash {_USER}
echo '{_USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{_USER}
install -d -o {_USER} -g {_USER} -m 700 /home/{_USER}/.ssh
install -o {_USER} -g {_USER} -m 600 /root/.ssh/authorized_keys /home/{_USER}/.ssh/
"""
_FIRST: Final = NODES[0]
_IDENTITY: Final = "sha256sum /etc/sipfarm/*.pem /etc/sipfarm/node.key /etc/sipfarm/farm.secret"


@pytest.fixture(scope="module")
def reader(built: Packages) -> Iterator[Reader]:
    """With bare hosts."""
    with Hosts.up((OPERATOR, _FIRST), wanted=packages.needed_by(built.new)) as hosts:
        yield Reader.at(hosts, (built.new,))


def test_at_most_ten_commands_make_a_first_node(reader: Reader, built: Packages) -> None:
    on_hosts = [each for each in COMMANDS[INSTALL] if each.host != "admin"]
    assert len(on_hosts) <= _COMMANDS_MAX
    reader.type(INSTALL, packages=(built.new,))


def test_a_playbook_takes_it_over_by_a_user_who_may_sudo(reader: Reader, built: Packages) -> None:
    hosts = Hosts.attach()
    for name in (OPERATOR, _FIRST):
        hosts.ssh(name, _ADD_USER)
    before = hosts.ssh(_FIRST, _IDENTITY).stdout
    played = play(
        "site",
        inventory.write(inventory.inventory(_FIRST, user=_USER)),
        # It has to read its new farm.toml, and nobody else is there to serve meanwhile.
        {"node_package": str(built.new), "node_force": "true"},
        environment=environment(reader.home),
        log=DATA_DIR / "taken-over.log",
        timeout_s=600,
    )
    assert played.status == 0, played.text
    assert hosts.ssh(_FIRST, _IDENTITY).stdout == before
    (node,) = json.loads(hosts.ssh(_FIRST, ["sipfarm", "status", "--json"]).stdout)["nodes"]
    assert (node["name"], node["ready"]) == (_FIRST, True)
