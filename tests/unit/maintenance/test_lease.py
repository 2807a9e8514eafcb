"""The maintenance lease: of nodes that begin at once, exactly one gets it, in any order of
messages.
"""

from collections.abc import Iterator
from copy import deepcopy

import pytest

from overlay.maintenance.lease import ASKED_S, HELD_S, LeaseBook

ONE, TWO, THREE = b"1" * 20, b"2" * 20, b"3" * 20


class World:
    """Some nodes, what is on its way between any two of them in order, and how far each is."""

    def __init__(self, nodes: int, beginners: tuple[int, ...]) -> None:
        self.nodes = range(nodes)
        self.books = {node: LeaseBook(_id(node), f"n{node}") for node in self.nodes}
        self.links: dict[tuple[int, int], list[str]] = {}
        self.phases = dict.fromkeys(beginners, "due")
        self.answers: dict[int, list[str]] = {}

    def moves(self) -> list[tuple[int, ...]]:
        """A node that begins, or a link whose first message arrives."""
        begins = [(node,) for node, phase in self.phases.items() if phase == "due"]
        return [*begins, *(link for link, queue in sorted(self.links.items()) if queue)]

    def play(self, move: tuple[int, ...]) -> None:
        """One of the moves."""
        if len(move) == 1:
            self._begin(move[0])
        else:
            self._arrive(move[0], move[1], self.links[move[0], move[1]].pop(0))

    def holders(self) -> list[int]:
        return [node for node, phase in self.phases.items() if phase == "won"]

    def state(self) -> object:
        grants = tuple((g.holder, g.held) if (g := b.current(0.0)) else None for b in self._books())
        links = tuple((link, tuple(queue)) for link, queue in sorted(self.links.items()) if queue)
        answers = tuple((node, tuple(sorted(a))) for node, a in sorted(self.answers.items()))
        return grants, links, tuple(sorted(self.phases.items())), answers

    def _books(self) -> Iterator[LeaseBook]:
        return iter(self.books.values())

    def _send(self, sender: int, what: str) -> None:
        for node in self.nodes:
            if node != sender:
                self.links.setdefault((sender, node), []).append(what)

    def _begin(self, node: int) -> None:
        if self.books[node].begin(0.0) is not None:
            self.phases[node] = "lost"
            return
        self.phases[node], self.answers[node] = "asking", []
        self._send(node, "ask")

    def _arrive(self, sender: int, node: int, what: str) -> None:
        book = self.books[node]
        if what in ("ask", "renew"):
            refused = book.asked(_id(sender), f"n{sender}", 0.0, held=what == "renew")
            if what == "ask":
                answer = "refused" if refused else "granted"
                self.links.setdefault((node, sender), []).append(answer)
        elif what == "end":
            book.ended(_id(sender))
        else:
            self.answers[node].append(what)
            if len(self.answers[node]) == len(self.nodes) - 1:
                self._decide(node)

    def _decide(self, node: int) -> None:
        if "refused" not in self.answers[node] and self.books[node].won(0.0):
            self.phases[node] = "won"
            self._send(node, "renew")
        else:
            self.phases[node] = "lost"
            self.books[node].ended(_id(node))
            self._send(node, "end")


def _id(node: int) -> bytes:
    return bytes([node]) * 20


@pytest.mark.parametrize(
    ("nodes", "beginners"),
    [(3, (0,)), (3, (0, 1)), (3, (0, 2)), (3, (1, 2)), (3, (0, 1, 2)), (4, (0, 1)), (4, (1, 3))],
)
def test_one_wins_in_every_order_of_events(nodes: int, beginners: tuple[int, ...]) -> None:
    seen: set[object] = set()
    left = [World(nodes, beginners)]
    ends = 0
    while left:
        world = left.pop()
        if (state := world.state()) in seen:
            continue
        seen.add(state)
        assert len(world.holders()) <= 1
        moves = world.moves()
        if not moves:
            ends += 1
            (holder,) = world.holders()
            grants = {book.current(0.0) for book in world.books.values()}
            assert {grant.holder for grant in grants if grant} == {_id(holder)}
            assert all(grant and grant.held for grant in grants)
        for move in moves:
            after = deepcopy(world)
            after.play(move)
            left.append(after)
    assert ends >= 1


def held_by_two() -> LeaseBook:
    book = LeaseBook(ONE, "n1")
    assert book.asked(TWO, "n2", 0.0) is None
    assert book.asked(TWO, "n2", 1.0, held=True, since_s=1.0) is None
    return book


def test_who_has_it_is_told_with_the_time() -> None:
    book = held_by_two()
    assert book.asked(TWO, "n2", 6.0, held=True, since_s=6.0) is None
    grant = book.begin(8.0)
    assert grant is not None
    assert (grant.name, grant.held, grant.since_s) == ("n2", True, 1.0)
    assert not book.mine(8.0)


def test_it_lapses_when_its_holder_says_nothing_more() -> None:
    book = held_by_two()
    assert book.begin(HELD_S) is not None
    assert book.begin(1.0 + HELD_S) is None


def test_who_only_asked_is_forgotten_soon() -> None:
    book = LeaseBook(ONE, "n1")
    assert book.asked(TWO, "n2", 0.0) is None
    assert book.asked(THREE, "n3", ASKED_S - 1) is not None
    assert book.asked(THREE, "n3", ASKED_S) is None


def test_its_own_does_not_lapse_while_it_drains() -> None:
    book = LeaseBook(ONE, "n1")
    assert book.begin(0.0) is None
    assert book.won(0.0)
    assert book.asked(TWO, "n2", 100 * HELD_S) is not None


def test_a_holder_goes_before_who_asks_whatever_their_ids() -> None:
    book = LeaseBook(ONE, "n1")
    assert book.begin(0.0) is None
    assert book.asked(THREE, "n3", 0.0, held=True) is None
    assert not book.won(0.0)


def test_force_takes_it_from_who_has_it() -> None:
    book = held_by_two()
    assert book.asked(THREE, "n3", 2.0, held=True, forced=True) is None
    assert book.asked(TWO, "n2", 3.0, held=True) is not None
    book.ended(TWO)
    grant = book.current(4.0)
    assert grant is not None
    assert grant.holder == THREE
    assert book.begin(5.0, forced=True) is None
    assert book.mine(5.0)


def test_only_its_holder_gives_it_back() -> None:
    book = held_by_two()
    book.ended(THREE)
    assert book.begin(2.0) is not None
    book.ended(TWO)
    assert book.begin(2.0) is None
