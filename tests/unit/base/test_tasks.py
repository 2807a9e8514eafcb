"""Tasks end though their cancellation is lost on the way."""

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
