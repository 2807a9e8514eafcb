"""Which targets a `sips` URI may be followed to."""

import pytest

from overlay.records.targets import Target
from proxy.routes.location import encrypted


@pytest.mark.parametrize(
    ("target", "good"),
    [
        (Target(uri="sip:b@h;transport=tls"), True),
        (Target(uri="sips:b@h"), True),
        (Target(uri="sip:b@h"), False),
        (Target(uri="sip:b@h;transport=ws"), False),
        (Target(uri="sip:b@x.invalid;transport=ws", received="sip:h:1;transport=wss"), True),
        (Target(uri="sip:b@h;transport=tls", received="sip:h:1;transport=udp"), False),
        (Target(uri="sip:b@h;transport=tls", path=("sip:edge;lr",)), False),
        (Target(uri="sip:b@h", path=("sip:edge;transport=tls;lr",)), True),
    ],
)
def test_the_whole_way_is_encrypted(target: Target, good: bool) -> None:
    assert bool(encrypted((target,))) is good


def test_so_are_the_further_flows_of_a_device() -> None:
    target = Target(
        uri="sip:b@h;transport=tls", backups=(Target(uri="sip:b@h"), Target(uri="sips:b@h"))
    )
    (found,) = encrypted((target,))
    assert [each.uri for each in found.backups] == ["sips:b@h"]
