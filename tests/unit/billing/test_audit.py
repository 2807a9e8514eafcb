"""An audit finds every change, in blocks that real certificates sign."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from overlay.billing import chain
from overlay.billing.audit import Audit
from overlay.billing.chain import Block, Seen
from overlay.identity import ca, files, identity, keys
from overlay.identity.identity import load_ca_certificate, load_certificate
from overlay.records import call
from overlay.records.call import CallEvent, EventKind
from tests.proxy_requests import FARM

HOLDERS = ("n1", "n2", "n3")


@dataclass
class Signer:
    """A node that signs a chain."""

    directory: Path
    name: str
    previous: bytes = b""
    number: int = 0
    until: int = 100

    def __post_init__(self) -> None:
        ca.issue(self.directory / "ca", FARM, self.name, "127.0.0.1", self.directory / self.name)
        self.key = keys.load(self.directory / self.name / files.NODE_KEY)
        loaded = load_certificate(self.directory / self.name / files.NODE_CERTIFICATE)
        self.certificate = loaded.public_bytes(identity.serialization.Encoding.DER)

    def event(self, number: int, changed: int = 0) -> CallEvent:
        call_id = f"call-{number}"
        return CallEvent(
            kind=EventKind.START,
            event_id=call.event_id(EventKind.START, call_id, "a", "b"),
            call_id=call_id,
            from_tag="a",
            to_tag="b",
            time_us=1_000 + number,
            node=self.name,
            changed=changed or self.until + 1,
            code=200,
            level="quorum",
        )

    def block(
        self,
        *events: CallEvent,
        withdrawn: tuple[bytes, ...] = (),
        seen: tuple[Seen, ...] = (),
        time_us: int = 2_000,
    ) -> CallEvent:
        self.number += 1
        block = Block(
            node_id=keys.node_id(self.key.public_key()),
            node=self.name,
            chain=7,
            number=self.number,
            previous=self.previous,
            after=self.until,
            until=self.until + 100,
            entries=tuple(map(chain.entry, events)),
            withdrawn=withdrawn,
            seen=seen,
        )
        self.until += 100
        body = chain.encode(block)
        self.previous = chain.head(body)
        return chain.as_event(block, body, self.key, self.certificate, time_us)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    ca.create(tmp_path / "ca", FARM)
    return Signer(tmp_path, "n1")


def audit(signer: Signer, blocks: list[CallEvent], events: list[CallEvent]) -> Audit:
    authority = load_ca_certificate(signer.directory / "ca" / files.CA_CERTIFICATE)
    done = Audit(authority=authority, since_us=1_000, until_us=2_000)
    for block in blocks:
        # As it comes from a disk.
        done.block(call.decode(call.encode(block)), HOLDERS)
    done.all_blocks()
    for event in events:
        done.event(call.decode(call.encode(event)), HOLDERS)
    done.finish()
    return done


def kinds(done: Audit) -> list[tuple[str, str]]:
    return [(each.kind, each.what) for each in done.findings]


def test_what_is_as_it_was_is_right(signer: Signer) -> None:
    events = [signer.event(number) for number in range(4)]
    blocks = [signer.block(*events[:2]), signer.block(*events[2:])]
    # How safe it was is told by its replicas, in the journal or not.
    events[1] = msgspec.structs.replace(events[1], level="journal")
    done = audit(signer, blocks, events)
    assert (kinds(done), done.events, done.blocks, done.unsigned) == ([], 4, 2, {})


@pytest.mark.parametrize(
    "change",
    [
        {"time_us": 1_001},
        {"to_uri": "sip:somebody@else"},
        {"node": "n2"},
        {"session_s": 1},
        {"trunk": "cheap"},
        {"proof": b"x"},
    ],
)
def test_an_altered_event_is_named(signer: Signer, change: dict[str, object]) -> None:
    event = signer.event(0)
    altered = msgspec.structs.replace(event, **change)
    done = audit(signer, [signer.block(event)], [altered])
    assert kinds(done) == [("altered", event.event_id.hex())]
    (finding,) = done.findings
    assert (finding.call_id, finding.held_by) == ("call-0", HOLDERS)


def test_one_altered_copy_beside_good_ones_is_named(signer: Signer) -> None:
    event = signer.event(0)
    altered = msgspec.structs.replace(event, time_us=1_001)
    done = audit(signer, [signer.block(event)], [event, altered])
    assert kinds(done) == [("altered", event.event_id.hex())]


def test_an_event_that_is_gone_is_named(signer: Signer) -> None:
    events = [signer.event(number) for number in range(3)]
    done = audit(signer, [signer.block(*events)], [events[0], events[2]])
    assert kinds(done) == [("missing", events[1].event_id.hex())]


def test_an_event_that_no_disk_took_may_be_missing(signer: Signer) -> None:
    event = signer.event(0)
    blocks = [signer.block(event), signer.block(withdrawn=(event.event_id,))]
    assert kinds(audit(signer, blocks, [])) == []


def test_an_event_that_was_put_in_is_named(signer: Signer) -> None:
    real = signer.event(0)
    block = signer.block(real)
    forged = signer.event(1, changed=150)
    done = audit(signer, [block], [real, forged])
    assert kinds(done) == [("unchained", forged.event_id.hex())]


def test_the_last_seconds_of_a_run_are_not_signed(signer: Signer) -> None:
    first = signer.block(signer.event(0))
    lost = signer.event(1, changed=250)
    signer.until = 300
    later = signer.event(2)
    second = signer.block(later)
    tail = signer.event(3)
    done = audit(signer, [first, second], [signer.event(0, 101), lost, later, tail])
    assert kinds(done) == []
    ids = [lost.event_id.hex(), tail.event_id.hex()]
    assert {name: list(found) for name, found in done.unsigned.items()} == {"n1": ids}


def test_a_block_that_is_gone_or_another_is_named(signer: Signer) -> None:
    one, two, three = (signer.block(signer.event(number)) for number in range(3))
    events = [signer.event(number, 101 + 100 * number) for number in (0, 2)]
    assert kinds(audit(signer, [one, three], events)) == [("block-missing", "chain 7 block 2")]
    # The node signs its second block anew, without an event.
    signer.number, signer.previous, signer.until = 1, chain.head(_block(one)), 200
    other = signer.block()
    found = kinds(audit(signer, [one, other, three], events))
    assert found == [("block-order", "chain 7 block 3")]
    found = kinds(audit(signer, [one, two, other, three], events))
    assert ("block-forked", "chain 7 block 2") in found


def test_the_order_of_events_is_signed(signer: Signer) -> None:
    one, two = signer.event(0), signer.event(1)
    block = signer.block(one, two)
    signed = chain._decode_signed(block.proof)
    inside = chain._decode_block(signed.block)
    turned = msgspec.structs.replace(inside, entries=inside.entries[::-1])
    proof = chain.encode(msgspec.structs.replace(signed, block=chain.encode(turned)))
    done = audit(signer, [msgspec.structs.replace(block, proof=proof)], [one, two])
    assert [kind for kind, _ in kinds(done)] == ["block-invalid"]


def test_a_block_signed_by_somebody_else_is_not_believed(signer: Signer, tmp_path: Path) -> None:
    event = signer.event(0)
    thief = Signer(signer.directory, "n2")
    thief.name = "n1"
    (kind, _), *_ = kinds(audit(signer, [thief.block(event)], [event]))
    assert kind == "block-invalid"
    # A key that no CA of this farm knows.
    ca.create(tmp_path / "other" / "ca", FARM)
    stranger = Signer(tmp_path / "other", "n1")
    (kind, _), *_ = kinds(audit(signer, [stranger.block(event)], [event]))
    assert kind == "block-invalid"


def seen(event: CallEvent) -> Seen:
    """What a node that has stored this block tells of it."""
    block = chain._decode_block(_block(event))
    return Seen(
        node_id=block.node_id,
        node=block.node,
        chain=block.chain,
        number=block.number,
        head=chain.head(_block(event)),
        time_us=event.time_us,
    )


def test_the_end_of_a_chain_that_another_has_seen_is_missed(signer: Signer) -> None:
    events = [signer.event(0)]
    one, two = signer.block(*events), signer.block()
    other = Signer(signer.directory, "n2")
    vouching = other.block(seen=(seen(two),))
    assert kinds(audit(signer, [one, two, vouching], events)) == []
    done = audit(signer, [one, vouching], events)
    (finding,) = done.findings
    assert (finding.kind, finding.node, finding.what) == (
        "block-missing",
        "n1",
        "chain 7 block 2",
    )
    # All that the node ever signed.
    assert kinds(audit(signer, [vouching], [])) == [("block-missing", "chain 7 block 2")]
    # The node's key signs its last block anew, without what was in it.
    signer.number, signer.previous = 1, chain.head(_block(one))
    another = signer.block(withdrawn=(b"x" * 20,))
    assert kinds(audit(signer, [one, another, vouching], events)) == [
        ("block-forked", "chain 7 block 2")
    ]


def test_a_block_that_is_past_is_not_missed(signer: Signer) -> None:
    past = signer.block(time_us=999)
    vouching = Signer(signer.directory, "n2").block(seen=(seen(past),))
    assert kinds(audit(signer, [vouching], [])) == []


def test_a_block_that_came_while_others_were_read_is_found_at_the_second_look(
    signer: Signer,
) -> None:
    authority = load_ca_certificate(signer.directory / "ca" / files.CA_CERTIFICATE)
    late, later = signer.block(), signer.block()
    other = Signer(signer.directory, "n2")
    vouching, again = other.block(seen=(seen(late),)), other.block(seen=(seen(later),))
    done = Audit(authority=authority, since_us=1_000, until_us=2_000)
    done.block(vouching, HOLDERS)
    assert done.lacking()
    # What came after that may be missed by this look as well.
    for block in (late, vouching, again):
        done.block(block, HOLDERS)
    done.all_blocks()
    done.finish()
    assert kinds(done) == []


def test_blocks_of_earlier_versions_are_read_as_they_were_signed(signer: Signer) -> None:
    event = signer.event(0)
    block = signer.block(event)
    values = msgspec.msgpack.decode(_block(block))
    body = msgspec.msgpack.encode(values[:-1])
    signature = signer.key.sign(chain._PURPOSE + body, ec.ECDSA(hashes.SHA256()))
    signed = chain.SignedBlock(block=body, signature=signature, certificate=signer.certificate)
    old = msgspec.structs.replace(block, proof=chain.encode(signed))
    assert kinds(audit(signer, [old], [event])) == []
    signer.previous = chain.head(body)
    assert kinds(audit(signer, [old, signer.block()], [event])) == []


def test_later_versions_know_more_fields(signer: Signer) -> None:
    """What an older node stored has no place for them."""
    event = signer.event(0)
    block = signer.block(event)
    values = msgspec.msgpack.decode(call.encode(event))
    shorter = call.decode(msgspec.msgpack.encode(values[:-2]))
    assert kinds(audit(signer, [block], [shorter])) == []


def _block(event: CallEvent) -> bytes:
    return chain._decode_signed(event.proof).block
