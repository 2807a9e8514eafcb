"""A build whose daemon does not start ends the upgrade at the first host, and no phone notices."""

from tests.hosts.farm import HostsFarm

_RUNS = "systemctl show --property=MainPID,ActiveEnterTimestamp --value"
_UNITS = "sipfarm-overlay sipfarm-kamailio sipfarm-redis sipfarm-pdns"
_PATIENCE = {"node_ready_within_s": "5"}


def test_a_build_that_does_not_start_stops_at_the_first_host(farm: HostsFarm) -> None:
    first, *others = farm.nodes
    before = {name: _state(farm, name) for name in others}
    version = farm.versions()[first]
    with farm.load() as tally:
        played = farm.play(
            "upgrade", {"node_package": str(farm.broken), **_PATIENCE}, what="upgrade, broken"
        )
        assert played.status > 0, played.text
        assert set(played.failed) == {first}, played.text
        assert "rollback.yml" in played.text
        assert {name: _state(farm, name) for name in others} == before
        assert first not in farm.in_dns()
        assert tally.failed == [], tally.refusals
        played = farm.play("rollback", {"node_version": version}, what=f"rollback, {first}")
        assert played.status == 0, played.text
        farm.wait_in_service(*farm.nodes)
    assert tally.failed == [], tally.refusals
    assert set(farm.versions().values()) == {version}
    assert {name: _state(farm, name) for name in others} == before
    farm.check_all()


def _state(farm: HostsFarm, name: str) -> str:
    """The processes of a host's services, and the package that is installed."""
    installed = "dpkg-query --show sipfarm; ls /var/lib/sipfarm-packages"
    return farm.hosts.ssh(name, f"{_RUNS} {_UNITS}; {installed}").stdout
