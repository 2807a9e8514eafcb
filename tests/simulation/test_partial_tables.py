"""Lookups are right, short and cheap in farms that are too large for one routing table."""

from overlay.config.sections import OverlaySection
from tests.simulation.partial_tables import Lookups, run
from tests.simulation.partial_tables_main import lines, missed

BUCKET_SIZE = OverlaySection().bucket_size


def test_tables_hold_farms_of_nearly_twice_the_bucket_size() -> None:
    report = run(2 * BUCKET_SIZE - 150, 1, lookups=2)
    assert report.partial == 0.0
    assert report.certain == 1.0
    assert report.contacts == 2 * BUCKET_SIZE - 150 - 1


def test_lookups_with_partial_tables_find_the_nearest() -> None:
    report = run(3_000, 1, lookups=25)
    assert not missed(report), lines(report)
    assert report.partial == 1.0
    # One half of the ids is a bucket that nobody of the other half has room for.
    assert 0.4 < report.certain < 0.6
    assert report.whole.hops_max == 2
    # As many as are asked for at least, by what each answers at most.
    assert report.whole.questions_mean < 12
    assert report.whole.bytes_mean < 200_000
    assert report.table_bytes < 400 * 3_000


def test_small_buckets_take_more_hops_and_are_as_right() -> None:
    report = run(2_000, 1, lookups=25, settings=OverlaySection(bucket_size=20, links_kept=60))
    assert not missed_but_hops(report.whole, report.noticed)
    assert report.certain_wrong == 0
    assert report.certain < 0.1
    assert report.contacts < 20 * 10
    assert report.whole.hops_max > 2


def test_a_farm_of_which_nodes_may_not_know_enough_is_found_to_be_wrong() -> None:
    """The check can fail: a node that has not heard of its neighbours does not find them."""
    report = run(1_000, 1, lookups=25, known_max=100)
    assert report.certain_wrong
    assert report.whole.right < report.whole.count
    assert missed(report)


def missed_but_hops(*phases: Lookups) -> list[str]:
    """The lookups that found others than the nearest."""
    return [f"{each.count - each.right} wrong" for each in phases if each.right < each.count]
