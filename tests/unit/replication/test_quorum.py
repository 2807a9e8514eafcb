"""The count of votes: pending, won or lost."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.replication.quorum import Outcome, Votes


@given(st.integers(1, 5), st.integers(0, 5), st.lists(st.booleans(), max_size=5))
def test_an_outcome_is_final_and_never_early(needed: int, more: int, answers: list[bool]) -> None:
    total = needed + more
    votes, decided = Votes(needed, total), Outcome.PENDING
    for yes in answers[:total]:
        votes.yes += yes
        votes.no += not yes
        if decided is not Outcome.PENDING:
            assert votes.outcome is decided
        decided = votes.outcome
    left = total - votes.yes - votes.no
    if votes.outcome is Outcome.PENDING:
        assert votes.yes < needed <= votes.yes + left
    assert votes.outcome is not Outcome.WON or votes.yes >= needed
    assert votes.everybody == (left == 0)


def test_more_needed_than_there_are_is_lost_at_once() -> None:
    assert Votes(2, 1).outcome is Outcome.LOST
