"""The order in which targets are tried, and how Max-Breadth is shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.records.targets import Target
from proxy import fork_plan
from proxy.fork_plan import ForkPlan

targets = st.lists(
    st.builds(Target, uri=st.text(max_size=5), q=st.sampled_from([0, 100, 500, 1000])), max_size=8
)


@given(targets)
def test_groups_have_all_by_q(given_targets: list[Target]) -> None:
    groups = fork_plan.groups(given_targets)
    assert sorted((t.uri, t.q) for g in groups for t in g) == sorted(
        (t.uri, t.q) for t in given_targets
    )
    assert [group[0].q for group in groups] == sorted({t.q for t in given_targets}, reverse=True)
    assert all(len({target.q for target in group}) == 1 for group in groups)


@given(targets, targets)
def test_a_plan_survives_being_kept(sent: list[Target], later: list[Target]) -> None:
    plan = ForkPlan(tuple(sent), fork_plan.groups(later))
    assert fork_plan.decode(fork_plan.encode(plan)) == plan
    assert "\0" not in fork_plan.encode(plan)


@given(st.binary(max_size=30))
def test_anything_else_is_no_plan(data: bytes) -> None:
    assert fork_plan.decode(data.decode("latin-1")) is None or data.startswith(b"[")


@given(st.integers(0, 100), st.integers(0, 20))
def test_breadth_is_shared_and_never_exceeded(whole: int, branches: int) -> None:
    shares = fork_plan.shares(whole, branches)
    if 1 <= branches <= whole:
        assert len(shares) == branches
        assert min(shares) >= 1
        assert sum(shares) == whole
    else:
        assert shares == ()


@pytest.mark.parametrize(
    ("field", "breadth"),
    [
        (None, 60),
        ("5", 5),
        (" 7 ", 7),
        ("0", 0),
        ("900", 60),
        ("x", 60),
        ("-1", 60),
        ("9" * 99, 60),
    ],
)
def test_breadth_of_a_field(field: str | None, breadth: int) -> None:
    assert fork_plan.breadth(field) == breadth
