"""The daemon's projection in a real Redis."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from overlay.cache import projection
from overlay.cache.generations import ALL, Generations
from overlay.cache.projection import Projection
from tests.daemons.farm_of_nodes import Farm, play
from tests.waiting import until


def test_what_no_longer_fits_is_not_shown_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(farm: Farm) -> None:
        path, generations = farm.start_redis("n1"), Generations()
        shown = Projection(path, generations)
        redis = Redis(unix_socket_path=str(path))
        await shown.start()
        try:
            await until(lambda: not shown.error, what="Redis is in use")
            await shown.set("l:c", b"old", 60_000)
            assert await redis.get("l:c") == b"old"
            monkeypatch.setattr(projection, "HOT_RECORDS_MAX", 2)
            of_all = generations.numbers[ALL]
            shown.set("l:a", b"new", 60_000)
            shown.set("l:b", b"new", 60_000)
            await shown.set("l:c", b"new", 60_000)
            assert await redis.get("l:c") in (None, b"new")
            assert generations.numbers[ALL] > of_all
        finally:
            await redis.aclose()
            await shown.stop()

    play(tmp_path, story)
