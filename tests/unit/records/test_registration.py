"""Merge laws, expiry and order of registration records."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.records import registration
from overlay.records.registration import TOMBSTONE_GRACE_MS, Binding, Registration

CONTACTS = st.sampled_from(["sip:a@192.0.2.1", "sip:a@192.0.2.2:5070", "sip:a@[2001:db8::1]"])
BINDINGS = st.builds(
    Binding,
    contact=CONTACTS,
    call_id=st.sampled_from(["one", "two"]),
    cseq=st.integers(0, 3),
    expires_at_ms=st.integers(0, 5),
    changed=st.integers(0, 3),
    q=st.sampled_from([0, 500, 1000]),
    removed=st.booleans(),
    instance=st.sampled_from(["", "<urn:uuid:1>", "<urn:uuid:2>"]),
    reg_id=st.integers(0, 2),
)


@st.composite
def records(draw: st.DrawFn) -> Registration:
    record: Registration = ()
    for binding in draw(st.lists(BINDINGS, max_size=6)):
        record = registration.merge(record, (binding,))
    return record


def binding(contact: str = "sip:a@192.0.2.1", **changes: object) -> Binding:
    fields = {"call_id": "one", "cseq": 1, "expires_at_ms": 60_000, "changed": 1}
    return Binding(contact=contact, **{**fields, **changes})  # type: ignore[arg-type]


@given(records(), records())
def test_merge_commutes(one: Registration, two: Registration) -> None:
    assert registration.merge(one, two) == registration.merge(two, one)


@given(records(), records(), records())
def test_merge_associates(one: Registration, two: Registration, three: Registration) -> None:
    left = registration.merge(registration.merge(one, two), three)
    assert left == registration.merge(one, registration.merge(two, three))


@given(records(), records())
def test_merge_is_idempotent(one: Registration, two: Registration) -> None:
    merged = registration.merge(one, two)
    assert registration.merge(merged, two) is merged
    assert registration.merge(merged, merged) is merged


@given(records())
def test_encoding_keeps_everything(record: Registration) -> None:
    assert registration.decode(registration.encode(record)) == record


@given(records(), records(), st.integers(0, 10))
def test_the_order_of_arrival_does_not_change_where_calls_go(
    one: Registration, two: Registration, now_ms: int
) -> None:
    first = registration.in_force(registration.merge(one, two), now_ms)
    assert first == registration.in_force(registration.merge(two, one), now_ms)


def test_a_higher_cseq_wins_over_a_later_clock_within_a_call_id() -> None:
    late = binding(cseq=1, changed=99)
    assert registration.merge((late,), (binding(cseq=2, changed=1),))[0].cseq == 2


def test_a_restarted_phone_with_a_new_call_id_wins_by_the_clock() -> None:
    before = binding(call_id="before", cseq=900, changed=1)
    after = binding(call_id="after", cseq=1, changed=2)
    merged = registration.merge((before,), (after,))
    assert registration.in_force(merged, 0) == [after]


def test_a_flow_is_replaced_by_its_device_and_number_whatever_its_contact_and_call_id() -> None:
    device = {"instance": "<urn:uuid:1>", "reg_id": 1}
    before = binding("sip:a@192.0.2.1", call_id="before", changed=1, **device)
    after = binding("sip:a@192.0.2.2", call_id="after", changed=2, **device)
    second = binding("sip:a@192.0.2.2", call_id="second", changed=3, **(device | {"reg_id": 2}))
    record = registration.canonical((before, after, second))
    assert registration.in_force(record, 0) == [second, after]


def test_a_tombstone_hides_its_contact_and_no_late_copy_brings_it_back() -> None:
    there = binding(cseq=1)
    gone = binding(cseq=2, removed=True)
    merged = registration.merge(registration.merge((there,), (gone,)), (there,))
    assert registration.in_force(merged, 0) == []


def test_pruning_waits_for_the_grace() -> None:
    record = (binding(expires_at_ms=1_000),)
    assert registration.prune(record, 1_000 + TOMBSTONE_GRACE_MS - 1) is record
    assert registration.prune(record, 1_000 + TOMBSTONE_GRACE_MS) == ()


@given(records(), records(), st.integers(0, 10))
def test_pruning_changes_no_target_now_or_after_a_late_copy(
    one: Registration, late: Registration, now_ms: int
) -> None:
    pruned = registration.prune(one, now_ms)
    assert registration.in_force(pruned, now_ms) == registration.in_force(one, now_ms)
    with_late = registration.merge(pruned, one)
    assert registration.in_force(with_late, now_ms) == registration.in_force(one, now_ms)


def test_an_entry_hidden_by_a_later_one_that_outlasts_it_is_dropped() -> None:
    old = binding(call_id="before", changed=1, expires_at_ms=60_000)
    new = binding(call_id="after", changed=2, expires_at_ms=60_000)
    brief = binding(call_id="after", changed=2, expires_at_ms=50_000)
    assert registration.prune(registration.canonical((old, new)), 0) == (new,)
    assert len(registration.prune(registration.canonical((old, brief)), 0)) == 2


def test_targets_are_ordered_by_q_then_by_the_latest_change() -> None:
    low = binding("sip:low@h", q=100, changed=9)
    old = binding("sip:old@h", q=900, changed=1)
    new = binding("sip:new@h", q=900, changed=2)
    record = registration.canonical((low, old, new))
    assert registration.in_force(record, 0) == [new, old, low]


def test_what_ended_before_it_came_is_told_from_what_a_late_copy_may_be() -> None:
    late = binding(expires_at_ms=60_000)
    assert not registration.ended((late,), 60_000 + TOMBSTONE_GRACE_MS - 1)
    assert registration.ended((late,), 60_000 + TOMBSTONE_GRACE_MS)
    assert not registration.ended((), 0)


def test_what_ended_long_ago_is_left_out_of_what_stands() -> None:
    early = binding("sip:a@h", expires_at_ms=1_000)
    late = binding("sip:b@h", expires_at_ms=200_000)
    record = registration.canonical((early, late))
    assert registration.standing(record, 1_000 + TOMBSTONE_GRACE_MS - 1) is record
    assert registration.standing(record, 1_000 + TOMBSTONE_GRACE_MS) == (late,)
    assert registration.standing((), 0) == ()


@given(BINDINGS, BINDINGS, st.integers(0, 10))
def test_what_holds_for_one_entry_holds_beside_another(
    one: Binding, two: Binding, now_ms: int
) -> None:
    other = binding("sip:b@192.0.2.9", expires_at_ms=TOMBSTONE_GRACE_MS * 9)

    def without(bindings: list[Binding] | Registration) -> list[Binding]:
        return [each for each in bindings if each != other]

    beside = registration.merge((one,), (other,))
    late_ms = now_ms + TOMBSTONE_GRACE_MS
    assert registration.in_force((one,), now_ms) == without(registration.in_force(beside, now_ms))
    assert list(registration.prune((one,), late_ms)) == without(registration.prune(beside, late_ms))
    merged = registration.merge((one,), (two,))
    assert list(merged) == without(registration.merge(beside, (two,)))
