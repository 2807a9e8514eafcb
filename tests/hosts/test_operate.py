"""An operator works with a farm that serves, as docs/operate.md says."""

from tests.hosts.documents import OPERATE
from tests.hosts.farm import HostsFarm


def test_day_by_day(farm: HostsFarm) -> None:
    farm.type(OPERATE)
    done = farm.hosts.ssh(farm.nodes[-1], ["sipfarm", "subscriber", "list", "--json"])
    assert "alice@sip.example.net" in done.stdout
    farm.wait_in_service(*farm.nodes)
