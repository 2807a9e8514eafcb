"""Whether a node may drain or be stopped, as a decision over a description of the farm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from overlay.maintenance.verdict import (
    Reason,
    against_draining,
    against_stopping,
    present,
    seconds,
)
from overlay.records.node_status import NodeStatus

QUORUM = 2


def node(number: int, **changes: object) -> NodeStatus:
    well = NodeStatus(
        name=f"n{number}",
        id=f"{number:02}" * 20,
        address=f"192.0.2.{number}:7460",
        state="alive",
        version="0.1.0",
        ready=True,
    )
    return replace(well, **changes)


N1, N2, N3 = node(1), node(2), node(3)
DEAD = node(2, state="dead", version="", ready=False, since_s=12.0)
DRAINING = node(2, draining=True)
SILENT = node(2, version="", ready=False)
SUSPECT = node(2, state="suspect", version="", ready=False, since_s=1.0)
LEFT = node(2, state="left", version="", ready=False)
LEASED = node(1, lease="n2", lease_s=30.0)


def texts(reasons: tuple[Reason, ...]) -> list[str]:
    return [reason.text for reason in reasons]


@pytest.mark.parametrize(
    ("nodes", "words", "passing"),
    [
        ((N1, DEAD, N3, node(4)), "n2 is dead for 12 s (if for good", False),
        ((LEASED, DEAD, N3, node(4)), "n2 is dead for 12 s, and has the maintenance lease", False),
        ((N1, SUSPECT, N3, node(4)), "n2 does not answer for 1 s", True),
        ((N1, SILENT, N3, node(4)), "n2 does not answer", True),
        ((N1, DRAINING, N3, node(4)), "n2 drains", False),
        ((LEASED, DRAINING, N3, node(4)), "n2 drains for 30 s", False),
        ((LEASED, N2, N3, node(4)), "n2 has the maintenance lease for 30 s", True),
        (
            (LEASED, replace(N2, ready=False), N3, node(4)),
            "n2 has the maintenance lease for 30 s, and is not ready yet",
            True,
        ),
        ((N1, replace(N2, ready=False), N3, node(4)), "n2 is not ready", True),
    ],
)
def test_what_another_node_has(nodes: tuple[NodeStatus, ...], words: str, passing: bool) -> None:
    for reasons in (against_draining(nodes, "n1", QUORUM), against_stopping(nodes, "n1", QUORUM)):
        (reason,) = reasons
        assert words in reason.text
        assert reason.passing is passing


def test_nothing_is_in_the_way_of_one_where_all_are_well() -> None:
    assert against_draining((N1, N2, N3), "n1", QUORUM) == ()
    assert against_stopping((N1, N2, N3), "n3", QUORUM) == ()


def test_what_is_done_to_the_node_itself_is_no_reason() -> None:
    for itself in (DRAINING, DEAD, LEFT, replace(N2, ready=False)):
        assert against_stopping((LEASED, itself, N3), "n2", QUORUM) == ()
    assert against_draining((LEASED, DRAINING, N3), "n2", QUORUM) == ()


def test_who_left_is_not_missed_but_does_not_stay() -> None:
    assert against_draining((N1, LEFT, N3, node(4)), "n1", QUORUM) == ()
    assert texts(against_draining((N1, LEFT, N3), "n1", QUORUM)) == [
        "1 other nodes would stay, and a write needs 2 (overlay.write_quorum): add a node first"
    ]


def test_too_few_would_serve() -> None:
    found = texts(against_stopping((N1, replace(N2, ready=False), N3), "n1", QUORUM))
    assert found == [
        "n2 is not ready",
        "1 other nodes in service would stay, and a write needs 2 (overlay.write_quorum)",
    ]
    assert texts(against_stopping((N1,), "n1", 1)) == ["n1 is the last node in service"]
    assert against_stopping((N1, N2), "n1", 1) == ()


def test_events_on_too_few_disks() -> None:
    nodes = (replace(N1, journal_depth=3), N2, replace(N3, journal_depth=1))
    for name in ("n1", "n2"):
        assert sorted(texts(against_stopping(nodes, name, QUORUM))) == [
            "1 call events of n3 are on too few disks",
            "3 call events of n1 are on too few disks",
        ]
    assert against_draining(nodes, "n1", QUORUM) == ()


def test_a_node_that_says_nothing_may_have_some() -> None:
    for silent in (SILENT, SUSPECT):
        (reason,) = against_stopping((N1, silent, N3), "n2", QUORUM)
        assert "n2 does not answer" in reason.text


def test_revoked_nodes_and_ids_of_before_do_not_count() -> None:
    nodes = (N1, N3, DEAD, node(2, id="ff" * 20))
    assert present(nodes, ()) == (N1, N3, node(2, id="ff" * 20))
    assert present((N1, N3, DEAD), [bytes.fromhex(DEAD.id)]) == (N1, N3)
    assert present((N1, N3, DEAD), ()) == (N1, N3, DEAD)


_nodes = st.builds(
    lambda number, changes: node(number, **changes),
    st.integers(1, 5),
    st.fixed_dictionaries(
        {
            "state": st.sampled_from(["alive", "suspect", "dead", "left"]),
            "draining": st.booleans(),
            "ready": st.booleans(),
            "version": st.sampled_from(["", "0.1.0"]),
            "lease": st.sampled_from(["", "n1", "n2"]),
            "journal_depth": st.integers(0, 2),
        }
    ),
)


@given(
    st.lists(_nodes, min_size=1, max_size=5, unique_by=lambda each: each.name), st.integers(1, 3)
)
def test_who_may_leaves_a_farm_that_works(nodes: list[NodeStatus], write_quorum: int) -> None:
    for each in nodes:
        others = [other for other in nodes if other.name != each.name and other.state != "left"]
        stops = against_stopping(nodes, each.name, write_quorum)
        drains = against_draining(nodes, each.name, write_quorum)
        if not stops or not drains:
            assert len(others) >= write_quorum
            for other in others:
                assert other.state == "alive"
                assert other.ready
                assert not other.draining
        if not stops:
            assert drains == ()


def test_times_are_told_in_fitting_units() -> None:
    told = [seconds(each) for each in (0.0, 7.4, 150.0, 8000.0)]
    assert told == ["", " for 7 s", " for 2 min", " for 2 h"]
