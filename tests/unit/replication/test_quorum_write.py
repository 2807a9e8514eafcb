"""One record on its way to a quorum: which nodes are asked, and when the result is certain."""

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from overlay.base.errors import StorageError
from overlay.links.peer_protocol import Failed, PeerReply
from overlay.links.record_messages import Store, Stored
from overlay.records.names import RecordKind
from overlay.replication.quorum import Outcome
from overlay.replication.quorum_write import QuorumWrite
from tests.unit.replication.fakes import World
from tests.waiting import until

STORE = Store(kind=RecordKind.CALL, key=b"k" * 20, body=b"body")
FULL = StorageError("full")
YES, NO = Stored(), Failed(code="storage", reason="full")


class Written:
    """A write of n1, which may be a replica itself."""

    def __init__(
        self, world: World, *, replicas: int, needed: int, everybody: bool = False
    ) -> None:
        nodes = world.nodes[-replicas:]
        self.outcomes: list[Outcome] = []
        self.heard: list[PeerReply] = []
        self.write = QuorumWrite(
            world.replicas,
            STORE,
            nodes,
            needed,
            1.0,
            self.outcomes.append,
            self.heard.append,
            everybody=everybody,
        )
        self.write.start()


def play(story: Callable[[World], None], count: int = 3) -> None:
    async def inner() -> None:
        story(World(count))

    asyncio.run(inner())


def test_no_more_replicas_are_asked_than_the_quorum_needs() -> None:
    def story(world: World) -> None:
        written = Written(world, replicas=3, needed=2)
        assert world.transport.names == ["n2"]
        written.write.own_copy()
        assert written.outcomes == []
        world.transport.reply("n2", YES)
        assert written.outcomes == [Outcome.WON]
        assert world.spread() == ["n3"], "the rest get it with the next batch"

    play(story)


def test_a_node_that_is_no_replica_asks_one_more() -> None:
    def story(world: World) -> None:
        written = Written(world, replicas=3, needed=2)
        assert not written.write.has_own_copy
        assert world.transport.names == ["n2", "n3"]

    play(story, count=4)


def test_one_that_fails_makes_the_next_one_asked() -> None:
    def story(world: World) -> None:
        written = Written(world, replicas=3, needed=2)
        world.transport.reply("n2", NO)
        assert world.transport.names == ["n2", "n3"]
        written.write.own_copy()
        world.transport.reply("n3", YES)
        assert written.outcomes == [Outcome.WON]

    play(story)


def test_so_does_this_nodes_own_disk() -> None:
    def story(world: World) -> None:
        written = Written(world, replicas=3, needed=2)
        written.write.own_copy(FULL)
        assert world.transport.names == ["n2", "n3"]
        world.transport.reply("n3", NO)
        assert written.outcomes == [Outcome.LOST]
        world.transport.reply("n2", YES)
        assert written.outcomes == [Outcome.LOST], "once"

    play(story)


def test_a_slow_one_makes_the_next_one_asked() -> None:
    async def inner() -> None:
        world = World(3)
        Written(world, replicas=3, needed=2)
        await until(lambda: world.transport.names == ["n2", "n3"], what="n3 is asked")

    asyncio.run(inner())


def test_what_comes_after_the_decision_is_heard() -> None:
    def story(world: World) -> None:
        written = Written(world, replicas=3, needed=1)
        written.write.own_copy()
        assert written.outcomes == [Outcome.WON]

        written = Written(world, replicas=3, needed=2)
        world.transport.reply("n2", NO)
        written.write.own_copy()
        world.transport.reply("n3", YES)
        assert written.heard == [NO, YES]

    play(story)


@given(
    replicas=st.integers(1, 5),
    needed=st.integers(1, 5),
    own=st.booleans(),
    answers=st.lists(st.booleans(), min_size=5, max_size=5),
    everybody=st.booleans(),
)
def test_whatever_is_answered_it_is_decided_once_and_nobody_is_left_out(
    replicas: int, needed: int, own: bool, answers: list[bool], everybody: bool
) -> None:
    needed = min(needed, replicas)

    def story(world: World) -> None:
        written = Written(world, replicas=replicas, needed=needed, everybody=everybody)
        votes = []
        if written.write.has_own_copy:
            votes.append(answers[0])
            written.write.own_copy(None if answers[0] else FULL)
        others = [node.name for node in world.nodes[-replicas:] if node.name != "n1"]
        if everybody:
            assert world.transport.names == others
        answered = 0
        while answered < len(world.transport.names):
            if everybody:
                assert written.outcomes == []
            name = world.transport.names[answered]
            answered += 1
            votes.append(answers[answered % 5])
            world.transport.reply(name, YES if votes[-1] else NO)
        won = votes.count(True) >= needed
        assert written.outcomes == [Outcome.WON if won else Outcome.LOST]
        assert sorted(world.transport.names + world.spread()) == sorted(others)

    play(story, count=replicas + (not own))
