"""Tasks end even if their cancellation gets lost on the way."""

import asyncio

from overlay.base import tasks


def test_a_lost_cancellation_is_repeated() -> None:
    """As happens in `asyncio.wait_for` when what it waits for is ready in the same turn."""

    async def story() -> None:
        answered = asyncio.get_running_loop().create_future()
        turns = 0

        async def keep_asking() -> None:
            nonlocal turns
            while True:
                waiting = answered if turns == 0 else asyncio.sleep(60)
                await asyncio.wait_for(waiting, 60)
                turns += 1

        task = asyncio.create_task(keep_asking())
        await asyncio.sleep(0)
        answered.set_result(None)
        await asyncio.wait_for(tasks.end([task, None]), 10)
        assert task.cancelled()
        assert turns == 1, "the first cancellation was not lost: this shows nothing"

    asyncio.run(story())


def test_all_end_whatever_they_fail_with() -> None:
    async def story() -> None:
        async def fails() -> None:
            raise OSError("gone")

        async def waits() -> None:
            await asyncio.sleep(60)

        running = {asyncio.create_task(fails()), asyncio.create_task(waits())}
        await asyncio.wait_for(tasks.end(running), 10)
        assert all(task.done() for task in running)

    asyncio.run(story())


def test_what_a_part_has_started_ends_by_itself_or_with_the_part() -> None:
    async def scene() -> None:
        background, go = tasks.Background(), asyncio.Event()

        async def short() -> None:
            await go.wait()

        async def endless() -> None:
            await asyncio.Event().wait()

        ended = background.start(short())
        background.start(endless(), name="endless")
        assert len(background) == 2
        go.set()
        await ended
        await asyncio.sleep(0)
        assert len(background) == 1
        await background.end()
        assert len(background) == 0

    asyncio.run(scene())
