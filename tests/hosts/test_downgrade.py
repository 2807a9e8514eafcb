"""The farm goes back to the last release, which reads the data that the new version wrote."""

from tests.hosts.documents import UPGRADE, version_of
from tests.hosts.farm import HostsFarm

_VERSION = "dpkg-query --show --showformat='${Version}' sipfarm"


def test_the_farm_goes_back_with_all_its_data(farm: HostsFarm) -> None:
    version = version_of(farm.old)
    with farm.load() as tally:
        farm.type(UPGRADE, "Roll back")
    assert tally.failed == [], tally.refusals
    for name in farm.nodes:
        assert farm.hosts.ssh(name, _VERSION).stdout == version
    farm.check_all()
