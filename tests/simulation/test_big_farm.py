"""A farm with more nodes than links and buckets hold keeps the promises of a small one."""

from tests.simulation.big_farm import Report, run
from tests.simulation.big_farm_main import missed


def few_links(nodes: int, seed: int) -> Report:
    return run(nodes, seed, links_kept=20, bucket_size=8, link_idle_ms=3_000, lease_ms=2_000)


def test_a_farm_beyond_the_mesh_keeps_its_promises() -> None:
    report = few_links(80, 1)
    assert not missed([report])
    assert report.falsely_dead == 0
    assert report.hops_max > 1, "the buckets held the farm; nothing was looked up"
    assert 10 < report.links_mean < 40
    assert report.known_s < 5.0


def test_a_farm_within_the_mesh_knows_everybody_by_a_link() -> None:
    report = run(20, 1)
    assert not missed([report])
    assert report.links_mean == report.links_max == 19
    assert report.hops_max == 1


def test_traffic_at_rest_does_not_grow_with_the_farm() -> None:
    small, large = few_links(24, 2), few_links(96, 2)
    assert not missed([small, large])
