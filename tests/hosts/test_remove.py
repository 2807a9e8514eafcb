"""A node leaves for good, and no record is lost with it."""

from deploy.hosts import host
from tests.hosts.documents import UPGRADE
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import FOURTH, NODES


def test_a_node_is_removed(farm: HostsFarm) -> None:
    rules = ["nft", "list", "ruleset"]
    address = host(FOURTH).address
    assert address in farm.hosts.ssh(NODES[0], rules).stdout
    with farm.load() as tally:
        farm.type(UPGRADE, "Remove a node")
    assert tally.failed == [], tally.refusals
    assert farm.in_dns() == set(NODES)
    state = farm.hosts.ssh(FOURTH, ["systemctl", "is-active", "sipfarm-overlay"], check=False)
    assert state.stdout.strip() == "inactive"
    for name in NODES:
        assert address not in farm.hosts.ssh(name, rules).stdout
    farm.nodes = NODES
    farm.check_all()
