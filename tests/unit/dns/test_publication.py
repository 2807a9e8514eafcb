"""Which changes to the operator's zone are needed."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from overlay.dns.publication import (
    RecordSet,
    SetName,
    cautious,
    changes,
    publication,
    publishes,
    read_mark,
)
from overlay.dns.zone import ZoneNode, ZoneView

APEX = "farm.test."
MARK = ("_sipfarm.farm.test.", "TXT")

nodes = st.lists(
    st.builds(
        lambda number, live, six: ZoneNode(
            name=f"n{number}",
            addresses=(f"192.0.2.{number}", *((f"2001:db8::{number}",) if six else ())),
            live=live,
        ),
        st.integers(1, 200),
        st.booleans(),
        st.booleans(),
    ),
    unique_by=lambda node: node.name,
    max_size=12,
)


def view_of(*names: str, dead: tuple[str, ...] = ()) -> ZoneView:
    every = [
        ZoneNode(name=name, addresses=(f"192.0.2.{name[1:]}",), live=name not in dead)
        for name in (*names, *dead)
    ]
    return ZoneView(farm="farm.test", nodes=tuple(every))


def carried_out(
    there: dict[SetName, RecordSet], wanted: dict[SetName, RecordSet], known: bool
) -> dict[SetName, RecordSet]:
    """What is there after the changes, by a node that knows or does not know what was there."""
    mark = read_mark(there[MARK].contents if MARK in there else (), APEX)
    steps = changes(wanted, there if known else {}, mark.sets)
    after = {key: records for key, records in there.items() if key not in steps.delete}
    return after | {(records.name, records.type): records for records in steps.put}


def test_what_a_phone_needs_is_published() -> None:
    sets = publication(view_of("n1", "n2"))
    assert sets["_sip._udp.farm.test.", "SRV"].contents == {
        "10 100 5060 n1.farm.test.",
        "10 100 5060 n2.farm.test.",
    }
    assert sets[APEX, "A"].contents == {"192.0.2.1", "192.0.2.2"}
    assert sets["n2.farm.test.", "A"].contents == {"192.0.2.2"}
    assert {kind for _, kind in sets} == {"A", "SRV", "NAPTR", "TXT"}


def test_the_zone_itself_is_the_operators() -> None:
    names = {name for name, _ in publication(view_of("n1"))}
    assert not any(name.startswith("ns") for name in names)


@given(nodes, nodes, st.booleans())
def test_changes_lead_to_what_is_wanted(
    before: list[ZoneNode], after: list[ZoneNode], known: bool
) -> None:
    there = publication(ZoneView(farm="farm.test", nodes=tuple(before)))
    wanted = publication(ZoneView(farm="farm.test", nodes=tuple(after)))
    if not wanted:
        return
    assert carried_out(there, wanted, known) == wanted


@given(nodes)
def test_nothing_is_to_be_done_twice(some: list[ZoneNode]) -> None:
    wanted = publication(ZoneView(farm="farm.test", nodes=tuple(some)))
    marked = read_mark(wanted[MARK].contents, APEX).sets if wanted else frozenset()
    assert changes(wanted, wanted, marked).none


def test_what_is_not_the_farms_is_never_deleted() -> None:
    texts = {"set=A www.example.org.", "set=SOA farm.test.", "set=A n7.farm.test.", "digest=x"}
    mark = read_mark({f'"{text}"' for text in texts}, APEX)
    assert (mark.digest, mark.sets) == ("x", {("n7.farm.test.", "A")})
    deleted = changes(publication(view_of("n1")), {}, mark.sets).delete
    assert deleted == (("n7.farm.test.", "A"),)


def test_the_lowest_live_id_publishes() -> None:
    ids = [b"a", b"b", b"c"]
    assert [publishes(own, ids) for own in ids] == [True, False, False]
    assert publishes(b"b", [b"b", b"c"])
    assert publishes(b"a", [])


def test_less_than_half_of_the_farm_takes_nobody_out() -> None:
    alone = view_of("n1", dead=("n2", "n3"))
    assert all(node.live for node in cautious(alone).nodes)
    most = view_of("n1", "n2", dead=("n3",))
    assert cautious(most) == most
    half = view_of("n1", dead=("n2",))
    assert cautious(half) == half


def test_the_order_never_names_a_host_before_it_is_there() -> None:
    steps = changes(publication(view_of("n1", "n2", "n3")), {}, frozenset())
    kinds = [records.type for records in steps.put]
    assert kinds[-1] == "TXT"
    hosts = [index for index, one in enumerate(steps.put) if one.type == "A" and one.name != APEX]
    sets = [index for index, one in enumerate(steps.put) if one.type == "SRV"]
    assert max(hosts) < min(sets)


def test_a_new_weight_is_a_change() -> None:
    view = view_of("n1", "n2")
    heavier = replace(view, nodes=(replace(view.nodes[0], weight=7), view.nodes[1]))
    put = changes(publication(heavier), publication(view), frozenset()).put
    assert {one.type for one in put} == {"SRV", "TXT"}
