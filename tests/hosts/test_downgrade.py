"""The farm goes back to the last release, which reads the data that the new version wrote."""

from tests.hosts.farm import HostsFarm

_VERSION = "dpkg-query --show --showformat='${Version}' sipfarm"


def test_the_farm_goes_back_with_all_its_data(farm: HostsFarm) -> None:
    version = farm.old.name.split("_")[1]
    with farm.load() as tally:
        played = farm.play("rollback", {"node_version": version}, what="rollback, serial 1")
        assert played.status == 0, played.text
    assert tally.failed == [], tally.refusals
    for name in farm.nodes:
        assert farm.hosts.ssh(name, _VERSION).stdout == version
    farm.check_all()
