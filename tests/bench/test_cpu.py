"""The CPU time between two readings of the kernel's accounts is that of the nodes' processes."""

from collections import Counter

from bench.cpu import Account


def account(programs_ns: dict[str, int], threads_ns: dict[str, int]) -> Account:
    return Account(programs_ns=Counter(programs_ns), threads_ns=threads_ns)


def test_what_each_program_has_used_meanwhile_is_counted() -> None:
    before = account({"kamailio": 5, "python": 7}, {"10": 100})
    after = account({"kamailio": 9, "python": 7, "redis-server": 2}, {"10": 103})
    found = after.since(before)
    assert found == Counter({"kamailio": 4, "redis-server": 2, "kernel": 3})


def test_a_thread_of_the_kernel_that_ends_takes_nothing_away() -> None:
    before = account({"python": 7}, {"10": 1_000_000, "11": 50})
    after = account({"python": 8}, {"11": 60})
    assert after.since(before) == Counter({"python": 1, "kernel": 10})


def test_a_thread_of_the_kernel_that_begins_is_counted_whole() -> None:
    before = account({}, {"10": 1_000})
    after = account({}, {"10": 40, "12": 5})
    assert after.since(before)["kernel"] == 45
