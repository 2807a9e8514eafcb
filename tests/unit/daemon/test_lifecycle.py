"""Parts start in order and stop in the opposite order, whatever fails."""

import asyncio

import pytest

from overlay.daemon.lifecycle import Lifecycle
from overlay.observe.part import Part


class Noting(Part):
    """Writes down what happens to it, and fails where it is told to."""

    def __init__(self, name: str, happened: list[str], failing: str = "") -> None:
        self._name = name
        self._happened = happened
        self._failing = failing

    async def start(self) -> None:
        self._note("start")

    async def stop(self) -> None:
        self._note("stop")

    def _note(self, moment: str) -> None:
        self._happened.append(f"{moment} {self._name}")
        if moment == self._failing:
            raise OSError(f"{self._name} cannot {moment}")


def test_the_last_one_stops_first() -> None:
    async def story() -> None:
        happened: list[str] = []
        life = Lifecycle()
        await life.start(Noting("disk", happened), Noting("peers", happened))
        await life.start(Noting("askers", happened))
        await life.stop()
        assert happened == [
            "start disk",
            "start peers",
            "start askers",
            "stop askers",
            "stop peers",
            "stop disk",
        ]
        await life.stop()
        assert len(happened) == 6, "nothing is stopped twice"

    asyncio.run(story())


def test_one_that_cannot_start_is_stopped_too_and_the_next_is_not_begun() -> None:
    async def story() -> None:
        happened: list[str] = []
        life = Lifecycle()
        disk, peers = Noting("disk", happened), Noting("peers", happened, "start")
        with pytest.raises(OSError, match="peers cannot start"):
            await life.start(disk, peers, Noting("askers", happened))
        assert life.begun == (disk, peers)
        await life.stop()
        assert happened == ["start disk", "start peers", "stop peers", "stop disk"]

    asyncio.run(story())


def test_one_that_cannot_stop_keeps_no_other_running() -> None:
    async def story() -> None:
        happened: list[str] = []
        life = Lifecycle()
        names = ("disk", "peers", "askers")
        await life.start(
            *(Noting(name, happened, "stop" if name != "disk" else "") for name in names)
        )
        with pytest.raises(OSError, match="askers cannot stop"):
            await life.stop()
        assert happened[3:] == ["stop askers", "stop peers", "stop disk"]

    asyncio.run(story())
