"""A node leaves for good, and nothing goes with it."""

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
