"""Which bindings are targets, and which are backups."""

import pytest

from overlay.records import registration
from overlay.records.registration import Binding
from overlay.records.routing import request_uri, targets_of
from overlay.records.targets import Target

DEVICE = "<urn:uuid:1>"


def bound(uri: str, changed: int, **fields: object) -> Binding:
    plain = {"call_id": f"c{changed}", "cseq": 1, "expires_at_ms": 60_000}
    return Binding(contact=uri, changed=changed, **{**plain, **fields})  # type: ignore[arg-type]


def flow(owner: str, changed: int, reg_id: int, instance: str = DEVICE) -> Binding:
    uri = "sip:alice@10.0.0.1"
    received = f"sip:192.0.2.{changed}:5060;transport=tcp"
    return bound(uri, changed, owner=owner, received=received, instance=instance, reg_id=reg_id)


def owners(targets: tuple[Target, ...]) -> list[list[str]]:
    return [[target.owner, *(each.owner for each in target.backups)] for target in targets]


def test_all_bindings_are_targets_in_order() -> None:
    record = registration.canonical((bound("sip:a@h", 1), bound("sip:b@h", 2, q=900)))
    assert [(each.uri, each.q) for each in targets_of(record, 0)] == [
        ("sip:a@h", 1000),
        ("sip:b@h", 900),
    ]


def test_the_flows_of_a_device_are_one_target_the_latest_first() -> None:
    other = flow("n4", 9, 1, instance="<urn:uuid:2>")
    record = registration.canonical((flow("n1", 1, 1), flow("n2", 2, 2), flow("n3", 3, 3), other))
    assert owners(targets_of(record, 0)) == [["n4"], ["n3", "n2", "n1"]]


def test_flows_of_a_lost_node_are_no_targets() -> None:
    record = registration.canonical((flow("n1", 1, 1), flow("n2", 2, 2)))
    assert owners(targets_of(record, 0, {"n2"})) == [["n1"]]
    assert targets_of(record, 0, {"n1", "n2"}) == ()


def test_a_binding_that_any_node_reaches_outlives_the_node_it_was_made_at() -> None:
    record = (bound("sip:a@h", 1),)
    assert len(targets_of(record, 0, {"", "n1"})) == 1


def test_devices_that_know_no_flows_are_told_apart_by_their_contacts() -> None:
    record = registration.canonical(
        (bound("sip:a@h", 1, instance=DEVICE), bound("sip:b@h", 2, instance=DEVICE))
    )
    assert len(targets_of(record, 0)) == 2


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        ("sip:a@h;transport=tcp", "sip:a@h;transport=tcp"),
        ("sip:a@h;ob?Route=%3Csip:x;lr%3E", "sip:a@h;ob"),
        ("sip:a@h;method=BYE;ob", "sip:a@h;ob"),
        ("sip:a@h;Method=BYE", "sip:a@h"),
        ("sip:a@h;methods=x", "sip:a@h;methods=x"),
    ],
)
def test_a_request_uri_has_neither_header_fields_nor_a_method(contact: str, uri: str) -> None:
    assert request_uri(contact) == uri
    record = registration.canonical((bound(contact, 1),))
    assert [each.uri for each in targets_of(record, 0)] == [uri]
