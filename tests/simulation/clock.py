"""Gives virtual time: an event loop that never waits, with processes that can be killed or frozen.

In: callbacks and timers, each in the context of the process that made them. Out: the same
callbacks, one after another, in an order that depends on nothing but the program. Counterpart:
`wires.py`, which carries bytes between processes.

When no callback is ready, time jumps to the next timer. The callbacks of a killed process are
dropped. Those of a frozen process wait until it is thawed.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

PROCESS: ContextVar["Process | None"] = ContextVar("process", default=None)


class Process:
    """One run of a daemon."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.alive = True
        self.frozen = False
        self.kept: list[asyncio.Handle] = []
        """What happened while it was frozen."""
        self.tasks: list[asyncio.Task[Any]] = []
        self._suspects: list[asyncio.Task[Any]] = []
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)

    def failed_tasks(self) -> list[str]:
        """Tasks that ended with an exception before the last call, which nobody has seen yet."""
        found = [task for task in self._suspects if task._log_traceback]
        for task in found:
            task._log_traceback = False
        done = [task for task in self.tasks if task.done()]
        self._suspects = [task for task in done if task._log_traceback]
        self.tasks = [task for task in self.tasks if not task.done()]
        return [f"{_name_of(task)} failed: {task.exception()!r}" for task in found]


class Stuck(Exception):
    """Nothing is left that could ever happen, or far too much happens."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on virtual time."""

    STEPS_MAX = 3_000_000

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._now = 0.0
        self._chance = chance
        self.steps = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self.wires: Any = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.problems: list[str] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._unhandled)

    def time(self) -> float:
        return self._now

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        # In the order in which they were made, where the time is the same.
        self._timers_made += 1
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def start_in(self, process: Process, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of this process."""
        return self.create_task(work, context=process.context)

    def thaw(self, process: Process) -> None:
        """Let it go on where it was."""
        process.frozen = False
        kept, process.kept = process.kept, []
        self._ready.extendleft(reversed(kept))

    def kill(self, process: Process) -> None:
        """It does nothing any more."""
        process.alive = process.frozen = False
        process.kept.clear()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """What a thread would do, done a moment later."""
        future = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self._chance.uniform(0.0001, 0.002), run)
        return future

    async def getaddrinfo(self, *_: Any, **__: Any) -> Any:
        """There is no DNS here."""
        raise OSError("no DNS")

    async def create_server(
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return self.wires.listen(factory, host, port)

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self.wires.connect(factory, host, port)

    async def create_datagram_endpoint(self, factory: Any, local_addr: Any = None, **_: Any) -> Any:
        return self.wires.listen_for_datagrams(factory, *local_addr)

    def end(self) -> list[str]:
        """Close for good; what went wrong in callbacks."""
        for task in self.tasks:
            if not task.done():
                task._log_destroy_pending = False
                continue
            # What nobody has seen of a process that is no more, nobody could see.
            task._log_traceback = False
        self.close()
        self._timers.clear()
        self.call_soon = self.call_at = self._too_late
        self.call_later = self.call_soon_threadsafe = self._too_late
        return self.problems

    # asyncio's own hooks.

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            timers = self._timers
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise Stuck("nothing will ever happen again")
            when, _, timer = heapq.heappop(timers)
            self._now = max(self._now, when)
            ready.append(timer)
        self.steps += 1
        if self.steps > self.STEPS_MAX:
            raise Stuck(f"more than {self.STEPS_MAX} turns of the loop")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None:
                handle._run()
            elif process.frozen:
                process.kept.append(handle)
            elif process.alive:
                handle._run()

    def _process_events(self, _: Any) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """There are no threads."""

    def _make_task(self, loop: Any, work: Any, **more: Any) -> "asyncio.Task[Any]":
        task = asyncio.Task(work, loop=loop, **more)
        self.tasks.append(task)
        process = PROCESS.get() if not more.get("context") else more["context"].get(PROCESS)
        if process is not None:
            process.tasks.append(task)
        return task

    def _unhandled(self, _: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.problems.append(f"unhandled: {context.get('message')} {error!r}")

    def _too_late(self, *_: Any, **__: Any) -> asyncio.Handle:
        handle = asyncio.Handle(lambda: None, (), self)
        handle.cancel()
        return handle


def _name_of(task: "asyncio.Task[Any]") -> str:
    work = task.get_coro()
    return str(getattr(work, "__qualname__", work))
