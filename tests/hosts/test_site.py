"""A playbook makes a farm of bare hosts, also where an earlier run was cut short."""

from deploy.hosts import host
from tests.farm.asking import eventually
from tests.hosts.documents import ROLLOUT, version_of
from tests.hosts.farm import CALLEE, KEPT, USERS, HostsFarm
from tests.hosts.inventory import NODES, OPERATOR

_INSTALLING = "pgrep -x dpkg || pgrep -x apt-get || pgrep -f ansible"


def test_a_run_that_ends_half_way(farm: HostsFarm) -> None:
    """The machine that ran it died while packages were installed."""
    farm.type(ROLLOUT, "The package and the playbooks", "The inventory")
    program = host("n1").root / "usr/bin/sipfarm"
    played = farm.play(
        "site", {"node_package": str(farm.old)}, what="site, killed", until=program.exists
    )
    assert played.status < 0, played.text
    for name in (OPERATOR, *NODES):
        eventually(
            lambda name=name: farm.hosts.ssh(name, _INSTALLING, check=False).returncode == 1,  # type: ignore[misc]
            f"what was under way on {name} has ended",
        )


def test_bare_hosts_become_a_farm(farm: HostsFarm) -> None:
    farm.type(ROLLOUT, "The farm")
    farm.wait_in_service(*NODES)
    assert farm.versions() == dict.fromkeys(NODES, version_of(farm.old))


def test_a_second_run_changes_nothing(farm: HostsFarm) -> None:
    played = farm.play("site", {"node_package": str(farm.old)}, what="site, second")
    assert played.status == 0, played.text
    assert set(played.changed.values()) == {0}, played.text


def test_phones_register_and_call(farm: HostsFarm) -> None:
    farm.add_subscribers([CALLEE, *USERS, *KEPT])
    farm.register(KEPT)
    farm.check_registered(KEPT)
