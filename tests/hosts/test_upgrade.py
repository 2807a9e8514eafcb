"""The farm goes from the last release to this tree, while phones call and register by UDP, TCP,
TLS.
"""

from tests.hosts.documents import UPGRADE
from tests.hosts.farm import HostsFarm
from tests.hosts.inventory import NODES
from tests.hosts.playbooks import LATER


def test_no_request_fails_while_the_farm_is_upgraded(farm: HostsFarm) -> None:
    before = set(farm.versions().values())
    # Debian's ansible-core made the farm; from now on it is a later one.
    farm.reader.use_ansible(LATER)
    with farm.load() as tally:
        farm.type(UPGRADE, "May a node be stopped now?", "Upgrade")
    assert tally.failed == [], tally.refusals
    assert tally.asked["INVITE"] == tally.asked["BYE"]
    assert tally.counts["moved"] > 0, "nobody noticed that nodes were away"
    after = farm.versions()
    assert set(after) == set(NODES)
    assert len(set(after.values())) == 1
    assert before.isdisjoint(after.values())
    farm.check_all()


def test_the_playbook_has_nothing_left_to_do(farm: HostsFarm) -> None:
    played = farm.play("site", {"node_package": str(farm.new)}, what="site, after the upgrade")
    assert played.status == 0, played.text
    nodes = {name: played.changed[name] for name in NODES}
    assert set(nodes.values()) == {0}, played.text
