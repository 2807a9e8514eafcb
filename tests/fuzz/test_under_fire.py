"""Hostile peers, clients and name servers cannot break a real node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import attacks
from tests.fuzz.attacks import Attack
from tests.fuzz.under_fire import UnderFire

CASES = 150
"""Of each attack; `tests/fuzz/run` plays more."""


@pytest.fixture(scope="module")
def fire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnderFire]:
    """One farm for all."""
    fire = UnderFire(Path(tmp_path_factory.mktemp("fire")))
    yield fire
    fire.close()


@pytest.mark.parametrize("attack", attacks.ALL, ids=lambda attack: str(attack.__name__))
def test_the_node_bears_it(fire: UnderFire, attack: Attack) -> None:
    attacks.play(fire, attack, range(CASES))
