"""A subscriber's calls at a time: never refused without a look, never above the limit after one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from overlay.base import limits
from overlay.records.claim import CSEQS_MAX, NOTHING, SETUP_MS, Claim, Heard
from overlay.records.clock import COUNTER_BITS
from overlay.replication.claim_counts import LOOK_PAUSE_MS_PER_CALL, ClaimCounts

ALICE, BOB = b"a" * 20, b"b" * 20
TALKING, OVER = Heard(answered=1), Heard(answered=1, ended=1)
NOW_MS = 1_000_000


def call(name: str) -> bytes:
    return name.encode().ljust(20, b".")


def invite(name: str, cseq: int = 1, now_ms: int = NOW_MS) -> Claim:
    changed = now_ms << COUNTER_BITS
    return Claim(call=call(name), call_key=call(f"key {name}"), cseqs=(cseq,), changed=changed)


def granted(counts: ClaimCounts, name: str, cseq: int = 1, calls_max: int = 2) -> bool:
    return counts.claim(ALICE, invite(name, cseq), calls_max, NOW_MS) is not None


def test_a_hundred_invites_at_once_do_not_get_through_a_limit_of_two() -> None:
    counts = ClaimCounts()
    assert sum(granted(counts, f"call {number}") for number in range(100)) == 2
    assert counts.total(ALICE) == 2
    assert counts.claim(BOB, invite("another's"), 1, NOW_MS) is not None


def test_a_repeated_invite_counts_once() -> None:
    counts = ClaimCounts()
    first = counts.claim(ALICE, invite("a"), 1, NOW_MS)
    assert counts.claim(ALICE, invite("a", now_ms=NOW_MS + 500), 1, NOW_MS + 500) == first
    assert granted(counts, "a", cseq=2, calls_max=1), "its node died, and it was challenged again"
    assert counts.total(ALICE) == 1
    assert not granted(counts, "a", cseq=3, calls_max=1), "that is no longer one call"
    assert not granted(counts, "b", calls_max=1)


def test_a_refused_call_makes_room_at_once() -> None:
    counts = ClaimCounts()
    assert granted(counts, "a", cseq=7, calls_max=1)
    later = (NOW_MS + 1) << COUNTER_BITS
    assert counts.release(ALICE, call("a"), 6, later, NOW_MS) is None, "another INVITE"
    assert counts.release(ALICE, call("b"), 7, later, NOW_MS) is None
    assert counts.release(BOB, call("a"), 7, later, NOW_MS) is None
    released = counts.release(ALICE, call("a"), 7, later, NOW_MS)
    assert released is not None
    assert counts.release(ALICE, call("a"), 7, later + 1, NOW_MS) is None, "it was already"
    assert granted(counts, "b", calls_max=1)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_who_was_refused_twice_has_no_call(order: tuple[int, int]) -> None:
    counts = ClaimCounts()
    assert granted(counts, "a", cseq=1, calls_max=1)
    assert granted(counts, "a", cseq=2, calls_max=1)
    for after, cseq in enumerate(order, 1):
        assert not granted(counts, "b", calls_max=1)
        assert counts.release(ALICE, call("a"), cseq, (NOW_MS + after) << COUNTER_BITS, NOW_MS)
    assert granted(counts, "b", calls_max=1)


def test_the_invites_of_one_call_are_bounded() -> None:
    counts = ClaimCounts()
    assert sum(granted(counts, "a", cseq, calls_max=100) for cseq in range(1, 50)) == CSEQS_MAX


def test_released_claims_are_forgotten() -> None:
    counts = ClaimCounts()
    for number in range(10):
        now_ms = NOW_MS + number * SETUP_MS
        name = f"call {number}"
        assert counts.claim(ALICE, invite(name, now_ms=now_ms), 1, now_ms)
        assert counts.release(ALICE, call(name), 1, (now_ms + 1) << COUNTER_BITS, now_ms)
        assert len(counts) <= 2


def test_a_look_finds_the_calls_that_ended() -> None:
    counts = ClaimCounts()
    assert granted(counts, "a")
    assert granted(counts, "b")
    assert not granted(counts, "c")
    looked = {each.call for each in counts.to_look_up(ALICE, NOW_MS)}
    assert looked == {call("a"), call("b")}
    counts.looked_up(ALICE, {call("a"): OVER, call("b"): TALKING}, NOW_MS)
    assert counts.total(ALICE) == 1
    assert granted(counts, "c")
    assert not granted(counts, "d")


def test_looks_cost_no_more_than_a_share_of_the_time() -> None:
    counts = ClaimCounts()
    for number in range(100):
        assert granted(counts, f"call {number}", calls_max=100)
    found = {each.call: NOTHING for each in counts.to_look_up(ALICE, NOW_MS)}
    counts.looked_up(ALICE, found, NOW_MS)
    pause_ms = int(100 * LOOK_PAUSE_MS_PER_CALL)
    assert counts.to_look_up(ALICE, NOW_MS + pause_ms - 1) == ()
    assert len(counts.to_look_up(ALICE, NOW_MS + pause_ms)) == 100


def test_what_nobody_can_tell_counts_only_while_it_may_ring() -> None:
    counts = ClaimCounts()
    assert granted(counts, "a")
    counts.looked_up(ALICE, {call("a"): None}, NOW_MS)
    assert counts.total(ALICE) == 1
    counts.looked_up(ALICE, {call("a"): None}, NOW_MS + SETUP_MS)
    assert (counts.total(ALICE), len(counts)) == (0, 1)
    counts.looked_up(ALICE, {call("a"): TALKING}, NOW_MS + SETUP_MS)
    assert counts.total(ALICE) == 1, "its replicas are back"
    counts.looked_up(ALICE, {call("a"): OVER}, NOW_MS + SETUP_MS)
    assert (len(counts), counts.subscribers()) == (0, [])


def test_another_replica_counts_alike_and_takes_over() -> None:
    one, two = ClaimCounts(), ClaimCounts()
    claims = [one.claim(ALICE, invite(name), 2, NOW_MS) for name in "ab"]
    assert two.merge(ALICE, [each for each in claims if each], NOW_MS)
    assert not two.merge(ALICE, one.all(ALICE), NOW_MS), "nothing new"
    assert not granted(two, "c")
    assert granted(two, "a", cseq=2), "and knows the calls that it did not grant"


def test_bounds() -> None:
    counts = ClaimCounts()
    most = limits.CLAIMS_PER_SUBSCRIBER_MAX
    counts.merge(ALICE, (invite(f"call {number}") for number in range(most + 5)), NOW_MS)
    assert (len(counts), counts.total(ALICE)) == (most, most)


class Sums(RuleBasedStateMachine):
    """Whatever happens, sums are sums, and a limit is not exceeded by who keeps to it."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = ClaimCounts()
        self.now_ms = NOW_MS

    @rule(name=st.sampled_from("abcd"), cseq=st.integers(1, 3), most=st.integers(1, 3))
    def claim(self, name: str, cseq: int, most: int) -> None:
        self.now_ms += 1
        before = self.counts.total(ALICE)
        new = invite(name, cseq, self.now_ms)
        if self.counts.claim(ALICE, new, most, self.now_ms):
            assert self.counts.total(ALICE) <= max(before, most)

    @rule(name=st.sampled_from("abcd"), cseq=st.integers(1, 3))
    def release(self, name: str, cseq: int) -> None:
        self.now_ms += 1
        changed = self.now_ms << COUNTER_BITS
        self.counts.release(ALICE, call(name), cseq, changed, self.now_ms)

    @rule(
        found=st.dictionaries(
            st.sampled_from("abcd").map(call), st.sampled_from([None, NOTHING, TALKING, OVER])
        ),
        wait_ms=st.sampled_from([1, SETUP_MS]),
    )
    def look(self, found: dict[bytes, Heard | None], wait_ms: int) -> None:
        self.now_ms += wait_ms
        self.counts.looked_up(ALICE, found, self.now_ms)

    @rule(name=st.sampled_from("abcd"))
    def share(self, name: str) -> None:
        self.counts.merge(ALICE, [invite(name, 1, self.now_ms)], self.now_ms)

    @invariant()
    def the_sums_are_right(self) -> None:
        calls = self.counts._calls.get(ALICE)
        if calls is None:
            assert len(self.counts) == 0
            return
        assert len(self.counts) == len(calls.claims) == len(calls.weights) > 0
        assert calls.total == sum(calls.weights.values())
        assert all(weight >= 0 for weight in calls.weights.values())
        assert calls.heard.keys() <= calls.claims.keys()


TestSums = Sums.TestCase
TestSums.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


claims = st.builds(
    lambda name, cseq, changed: invite(name, cseq, NOW_MS + changed),
    st.sampled_from("ab"),
    st.integers(1, 3),
    st.integers(0, 3),
)


@given(st.lists(claims, max_size=6), st.randoms(use_true_random=False))
def test_replicas_that_hear_the_same_keep_the_same(sent: list[Claim], chance: object) -> None:
    one, two = ClaimCounts(), ClaimCounts()
    one.merge(ALICE, sent, NOW_MS)
    shuffled = list(sent)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for each in [*shuffled, *shuffled]:
        two.merge(ALICE, [each], NOW_MS)
    assert set(one.all(ALICE)) == set(two.all(ALICE))
    assert one.total(ALICE) == two.total(ALICE)
