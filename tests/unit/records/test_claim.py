"""Claims merge, and stand for as many calls as a subscriber may have."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.records import claim
from overlay.records.claim import NOTHING, SETUP_MS, Claim, Heard, both, merge, weight
from overlay.records.clock import COUNTER_BITS

CALL, KEY = b"c" * 20, b"k" * 20
claims = st.builds(
    Claim,
    call=st.just(CALL),
    call_key=st.just(KEY),
    changed=st.integers(0, 3),
    cseqs=st.lists(st.integers(1, 3), max_size=3).map(tuple),
)
heard = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(
    lambda pair: Heard(answered=max(pair), ended=min(pair))
)


@given(claims, claims, claims)
def test_claims_merge_whatever_the_order(one: Claim, two: Claim, three: Claim) -> None:
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, one) == one
    assert merge(one, two).changed == max(one.changed, two.changed)


@given(heard, heard, heard)
def test_copies_of_a_record_add_up(one: Heard, two: Heard, three: Heard) -> None:
    assert both(one, two) == both(two, one)
    assert both(both(one, two), three) == both(one, both(two, three))
    assert both(one, one) == one
    assert both(one, two).ended <= both(one, two).answered


def held(cseq: int = 1, changed: int = 1) -> Claim:
    return Claim(call=CALL, call_key=KEY, cseqs=(cseq,), changed=changed)


def test_a_call_counts_from_its_invite_to_its_end() -> None:
    ringing, talking, over = NOTHING, Heard(answered=1), Heard(answered=1, ended=1)
    assert [weight(held(), each, young=True) for each in (ringing, talking, over)] == [1, 1, 0]
    assert [weight(held(), each, young=False) for each in (ringing, talking, over)] == [0, 1, 0]
    forked = Heard(answered=2, ended=1)
    assert weight(held(), forked, young=True) == 1


def test_a_refused_call_does_not_count() -> None:
    gone = claim.refused(held(1), 1, 5)
    assert (gone.cseqs, gone.changed) == ((), 5)
    assert weight(gone, NOTHING, young=True) == 0
    assert claim.again(gone, held(2)) == held(2)


def test_an_invite_sent_once_more_is_the_same_call_and_a_third_one_is_not() -> None:
    once = held(1)
    twice = claim.again(once, held(2))
    thrice = claim.again(twice, held(3))
    assert thrice.cseqs == (1, 2, 3)
    assert [weight(each, NOTHING, young=True) for each in (once, twice, thrice)] == [1, 1, 2]
    assert weight(thrice, Heard(answered=1), young=True) == 2
    assert weight(thrice, Heard(answered=2), young=True) == 2
    assert weight(thrice, Heard(answered=2, ended=2), young=True) == 0


def test_a_refusal_says_nothing_of_another_invite() -> None:
    twice = claim.again(held(1), held(2))
    left = claim.refused(twice, 2, 5)
    assert left.cseqs == (1,)
    assert weight(left, NOTHING, young=True) == 1


def test_who_rings_for_too_long_is_not_young() -> None:
    began_ms = 1_000_000
    claimed = held(changed=began_ms << COUNTER_BITS)
    assert claimed.young(began_ms + SETUP_MS - 1)
    assert not claimed.young(began_ms + SETUP_MS)


def test_calls_are_told_apart_by_call_id_and_tag() -> None:
    ids = {claim.claim_id(*names) for names in (("a", "b"), ("a", "c"), ("b", "b"), ("ab", ""))}
    assert len(ids) == 4
