"""What is proven of the records that a node holds."""

from overlay.base.limits import UNPROVEN_NAMED_MAX
from overlay.records.names import RecordKind
from overlay.replication.proof import Absence, Findings, Lacking, Looked, Proof


def looked(number: int, there: int, *without: str) -> Looked:
    return Looked(
        kind=RecordKind.CALL,
        key=bytes([number]) * 20,
        there=there,
        without=tuple(Absence(node=name, why=f"{name} is full") for name in without),
    )


def proof_of(*records: Looked) -> Proof:
    findings = Findings()
    for record in records:
        findings.add(record)
    return findings.proof()


def test_nothing_is_held() -> None:
    assert proof_of() == Proof()


def test_all_is_there() -> None:
    assert proof_of(looked(1, 3), looked(2, 2)) == Proof(records=2, copies=2)


def test_what_is_missing_and_who_lacks_it() -> None:
    found = proof_of(looked(1, 2, "n3"), looked(2, 2), looked(3, 1, "n3", "n4"))
    assert (found.records, found.unproven, found.copies) == (3, 2, 1)
    assert [each.key[0] for each in found.missing] == [1, 3]
    assert found.lacking == (
        Lacking(name="n3", records=2, why="n3 is full"),
        Lacking(name="n4", records=1, why="n4 is full"),
    )


def test_a_record_that_nobody_else_should_hold_is_not_proven() -> None:
    assert proof_of(looked(1, 0)) == Proof(records=1, unproven=1, missing=(looked(1, 0),))


def test_no_more_are_named_than_people_read() -> None:
    found = proof_of(*(looked(number, 0, f"n{number}") for number in range(50)))
    assert found.unproven == 50
    assert len(found.missing) == len(found.lacking) == UNPROVEN_NAMED_MAX
