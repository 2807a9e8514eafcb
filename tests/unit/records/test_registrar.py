"""What REGISTER requests do (RFC 3261 10.3)."""

from overlay.records import registrar, registration
from overlay.records.register import ContactChange, RegisterOutcome, RegisterRequest
from overlay.records.registration import Binding, Registration

ALICE = "sip:alice@192.0.2.1"
OTHER = "sip:alice@192.0.2.9"
NOW_MS = 1_000_000


def request(
    cseq: int, *contacts: ContactChange, call_id: str = "c", star: bool = False
) -> RegisterRequest:
    return RegisterRequest(
        aor="alice@farm.test", call_id=call_id, cseq=cseq, contacts=contacts, remove_all=star
    )


def add(uri: str = ALICE, expires_s: int = 60, q: int = 1000) -> ContactChange:
    return ContactChange(uri=uri, expires_s=expires_s, q=q)


def apply(record: Registration, asked: RegisterRequest, stamp: int = 0) -> Registration:
    decision = registrar.decide(record, asked, NOW_MS, stamp, 10)
    assert decision.outcome is RegisterOutcome.DONE
    return registration.merge(record, decision.delta)


def live(record: Registration) -> list[str]:
    return [found.uri for found in registrar.listed(record, NOW_MS)]


def test_a_contact_is_bound_for_as_long_as_asked() -> None:
    record = apply((), request(1, add(expires_s=60)))
    assert record[0].expires_at_ms == NOW_MS + 60_000
    assert registrar.listed(record, NOW_MS + 59_500)[0].expires_s == 1


def test_a_lower_cseq_of_the_same_call_id_is_stale_and_changes_nothing() -> None:
    record = apply((), request(5, add()))
    decision = registrar.decide(record, request(4, add(OTHER), add()), NOW_MS, 9, 10)
    assert decision.outcome is RegisterOutcome.STALE
    assert decision.delta == ()


def test_a_retransmission_writes_the_same_entry_again() -> None:
    record = apply((), request(5, add()), stamp=7)
    decision = registrar.decide(record, request(5, add(expires_s=3600)), NOW_MS + 9, 8, 10)
    assert decision.delta == record


def test_expires_zero_removes_one_contact() -> None:
    record = apply((), request(1, add(), add(OTHER)))
    assert live(apply(record, request(2, add(expires_s=0)))) == [OTHER]


def test_star_removes_all_whoever_registered_them() -> None:
    record = apply((), request(1, add()))
    record = apply(record, request(1, add(OTHER), call_id="d"))
    assert live(apply(record, request(2, star=True))) == []


def test_a_removal_outlives_every_copy_of_what_it_removed() -> None:
    record = apply((), request(1, add(expires_s=3600)))
    gone = apply(record, request(2, add(expires_s=0)))
    assert gone[0].expires_at_ms == NOW_MS + 3_600_000


def test_a_removal_by_too_few_nodes_outlives_what_they_cannot_have_seen() -> None:
    unseen = apply((), request(1, add(expires_s=3600)))
    alone = registrar.decide((), request(2, add(expires_s=0)), NOW_MS - 90_000, 9, 10, 3600)
    later_ms = NOW_MS + 600_000
    left = registration.prune(alone.delta, later_ms)
    assert live(registration.merge(unseen, registration.standing(left, later_ms))) == []


def test_a_coordinator_with_a_slow_clock_still_has_the_last_word() -> None:
    record = apply((), request(1, add()), stamp=1 << 60)
    after = apply(record, request(1, add(q=100), call_id="restarted"), stamp=5)
    assert registration.in_force(after, NOW_MS)[0].call_id == "restarted"


def test_too_many_contacts_are_refused_as_a_whole() -> None:
    contacts = [add(f"sip:alice@192.0.2.{n}") for n in range(4)]
    decision = registrar.decide((), request(1, *contacts), NOW_MS, 1, 3)
    assert decision.outcome is RegisterOutcome.TOO_MANY
    assert decision.delta == ()


def test_contacts_above_the_limit_that_the_coordinator_had_not_heard_of_are_taken_back() -> None:
    theirs = apply((), request(1, add(OTHER), call_id="before"))
    asked = request(1, add(ALICE))
    delta = registrar.decide((), asked, NOW_MS, 9, 1).delta
    merged = registration.merge(theirs, delta)
    assert registrar.undo((), merged, delta, NOW_MS, 2) == ()
    after = registration.merge(merged, registrar.undo((), merged, delta, NOW_MS, 1))
    assert live(after) == [OTHER]
    assert live(registration.merge(after, delta)) == [OTHER]
    again = registrar.decide(after, asked, NOW_MS, 10, 1)
    assert again.outcome is RegisterOutcome.TOO_MANY


def test_a_refresh_is_not_taken_back() -> None:
    record = apply((), request(1, add(ALICE)))
    delta = registrar.decide(record, request(2, add(ALICE)), NOW_MS, 9, 1).delta
    more = apply(registration.merge(record, delta), request(1, add(OTHER), call_id="d"))
    assert registrar.undo(record, more, delta, NOW_MS, 1) == ()


def test_removing_is_possible_when_there_are_too_many() -> None:
    record = apply((), request(1, add(), add(OTHER)))
    decision = registrar.decide(record, request(2, add(expires_s=0)), NOW_MS, 9, 0)
    assert decision.outcome is RegisterOutcome.DONE


def flow(uri: str, reg_id: int, expires_s: int = 60) -> ContactChange:
    return ContactChange(uri=uri, expires_s=expires_s, instance="<urn:uuid:1>", reg_id=reg_id)


def test_a_contact_written_otherwise_takes_the_place_of_the_same() -> None:
    record = apply((), request(1, add("sip:alice@HOST;ob;transport=tcp")))
    again = "sip:%61lice@host;transport=TCP"
    moved = apply(record, request(1, add(again), call_id="restarted"), stamp=2)
    assert live(moved) == [again]
    assert live(apply(moved, request(2, add("sip:alice@host", 0), call_id="x"), stamp=3)) == [again]
    gone = add("sip:alice@hosT;transport=tcp", 0)
    assert live(apply(moved, request(2, gone, call_id="restarted"), stamp=3)) == []


def test_a_contact_written_otherwise_keeps_to_the_order_of_its_call_id() -> None:
    record = apply((), request(5, add("sip:alice@host;ob")))
    stale = registrar.decide(record, request(4, add("sip:alice@host")), NOW_MS, 9, 10)
    assert stale.outcome is RegisterOutcome.STALE


def test_the_repeated_change_of_spelling_is_written_again_as_a_whole() -> None:
    record = apply((), request(1, add("sip:alice@host;ob")))
    first = registrar.decide(record, request(2, add("sip:alice@host")), NOW_MS, 9, 10)
    after = registration.merge(record, first.delta)
    assert registrar.decide(after, request(2, add("sip:alice@host")), NOW_MS, 11, 10) == first


def test_a_spelling_that_the_coordinator_had_not_heard_of_is_noticed() -> None:
    theirs = apply((), request(1, add("sip:alice@host;ob"), call_id="before"))
    asked = request(1, add("sip:alice@host"))
    delta = registrar.decide((), asked, NOW_MS, 9, 10).delta
    merged = registration.merge(theirs, delta)
    assert registrar.overlooked(merged, asked, delta, NOW_MS)
    whole = registrar.decide(merged, asked, NOW_MS, 10, 10).delta
    after = registration.merge(merged, whole)
    assert not registrar.overlooked(after, asked, whole, NOW_MS)
    assert live(after) == ["sip:alice@host"]
    other = registration.merge(apply((), request(1, add(OTHER))), delta)
    assert not registrar.overlooked(other, asked, delta, NOW_MS)


def test_a_flow_replaces_that_of_its_number_and_no_other() -> None:
    record = apply((), request(1, flow("sip:a@192.0.2.1", 1)))
    record = apply(record, request(1, flow("sip:a@192.0.2.1", 2), call_id="second"), stamp=2)
    record = apply(record, request(1, flow("sip:a@192.0.2.7", 1), call_id="third"), stamp=3)
    found = {(each.uri, each.reg_id) for each in registrar.listed(record, NOW_MS)}
    assert found == {("sip:a@192.0.2.7", 1), ("sip:a@192.0.2.1", 2)}


def test_star_removes_flows_too() -> None:
    record = apply((), request(1, flow("sip:a@192.0.2.1", 1)))
    assert live(apply(record, request(2, star=True))) == []


def test_a_write_overtaken_by_a_higher_cseq_is_noticed() -> None:
    mine = Binding(contact=ALICE, call_id="c", cseq=1, expires_at_ms=1, changed=1)
    theirs = Binding(contact=ALICE, call_id="c", cseq=2, expires_at_ms=1, changed=1)
    assert registrar.overtaken((theirs,), (mine,))
    assert not registrar.overtaken((mine,), (mine,))
