"""The codec knows each kind of message between nodes only by the message's own declaration."""

from overlay.links import peer_codec
from overlay.links.member_messages import FindNode, Nodes, Ping
from overlay.links.peer_protocol import Ack, Failed, PeerReply, PeerRequest


def test_every_kind_that_is_declared_can_be_sent() -> None:
    assert set(PeerRequest.__subclasses__()) == set(peer_codec.REQUESTS)
    assert set(PeerReply.__subclasses__()) == set(peer_codec.REPLIES)


def test_every_answer_answers_a_request() -> None:
    answers = {kind.answered_by for kind in peer_codec.REQUESTS}
    assert answers | {Failed} == set(peer_codec.REPLIES)
    assert (FindNode.answered_by, Ping.answered_by) == (Nodes, Ack)


def test_what_a_kind_says_of_itself_is_not_sent() -> None:
    assert FindNode.__struct_fields__ == ("id", "target")
    assert peer_codec.encode(Ping(id=7)) == b"\x92\x03\x07"
    assert peer_codec.decode(b"\x92\x03\x07") == Ping(id=7)


def test_the_head_of_an_unknown_kind_is_read() -> None:
    head = peer_codec.unknown_kind(peer_codec.encode((250, 9, "whatever")))
    assert head is not None
    assert (head.tag, head.id) == (250, 9)
    assert peer_codec.unknown_kind(b"\x92\x03\x07") is None
    assert peer_codec.unknown_kind(b"\xc1") is None
