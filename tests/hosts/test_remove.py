"""A node leaves for good, and nothing goes with it."""

from deploy.hosts import host
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import FOURTH, NODES


def test_a_node_is_removed(farm: HostsFarm) -> None:
    with farm.load() as tally:
        played = farm.play("remove_node", {"node_removed": FOURTH}, what="remove_node, n4")
        assert played.status == 0, played.text
    assert tally.failed == [], tally.refusals
    assert farm.in_dns() == set(NODES)
    state = farm.hosts.ssh(FOURTH, ["systemctl", "is-active", "sipfarm-overlay"], check=False)
    assert state.stdout.strip() == "inactive"
    farm.nodes = NODES
    farm.check_all()


def test_the_others_no_longer_let_it_in(farm: HostsFarm) -> None:
    """Taken out of the inventory, it goes from their rules."""
    rules = ["nft", "list", "ruleset"]
    address = host(FOURTH).address
    assert address in farm.hosts.ssh(NODES[0], rules).stdout
    played = farm.play("site", {"node_package": str(farm.old)}, what="site, after n4 was removed")
    assert played.status == 0, played.text
    for name in NODES:
        assert address not in farm.hosts.ssh(name, rules).stdout
