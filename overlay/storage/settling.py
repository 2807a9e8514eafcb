"""Makes call events safe at once, and moves them to the database later, many at a time.

In: batches of events. Out: their outcomes, when the log has them on disk; the same events to commit
to the database. Counterparts: `event_log.py` and `syncing.py`, which contain no rules;
`records_disk.py`, whose thread commits.

Alone, an event costs nine pages in the database and several turns of a thread; together with some
hundred others, a tenth of that. A reader waits until every event that was acknowledged before is
settled.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, cast

from overlay.base import limit_hits
from overlay.base.errors import DeviceError, StorageError
from overlay.base.limits import COMMIT_BATCH_MAX, UNSETTLED_EVENTS_MAX
from overlay.storage.committer import Committed
from overlay.storage.event_log import EventLog, LogFile, takes
from overlay.storage.rows import EventRow, Row
from overlay.storage.syncing import Synced

log = logging.getLogger(__name__)

SETTLE_S: Final = 0.25
"""How long an event stays in the log alone."""
SETTLE_EVENTS: Final = 100
"""How many events may be in the log alone before the database takes them. With 500, a commit costs
no less, and its sync delays that of the log: by 20 ms for one event in a hundred instead of 12."""
RETRY_S: Final = 1.0
"""How long to wait after the database has refused the events."""

Commit = Callable[[list[Row], Committed], None]


class Syncs(Protocol):
    """What is needed of a `Syncer`."""

    def sync(self, file: LogFile, synced: Synced) -> None:
        """See `Syncer.sync`. Raises `DeviceError`."""
        ...

    def close(self) -> None:
        """Call no callback any more."""
        ...


def take_in(event_log: EventLog, commit: Callable[[list[Row]], None]) -> int:
    """Have the database take the events that a crash left in the log; how many there were. `commit`
    returns when they are safe. Raises `OSError`, and whatever `commit` raises; then the log is
    unchanged."""
    rows = event_log.recover()
    for start in range(0, len(rows), COMMIT_BATCH_MAX):
        commit([*rows[start : start + COMMIT_BATCH_MAX]])
    event_log.clear()
    return len(rows)


class Settling:
    """The events of one node that wait for its database."""

    def __init__(self, event_log: EventLog, syncer: Syncs, commit: Commit) -> None:
        """`commit` has the database take rows, and reports the outcome later."""
        self._log = event_log
        self._syncer = syncer
        self._commit = commit
        self._loop = asyncio.get_running_loop()
        self._syncing = False
        self._fresh: list[Row] = []
        """Events that are acknowledged, in the current file."""
        self._leaving: list[Row] = []
        """Events that are acknowledged, in the other file, on their way into the database."""
        self._under_way = False
        """The database is about to take the leaving events, or has refused and will be asked
        again."""
        self._wanted = False
        """The fresh events are to leave as soon as that is possible."""
        self._waiting: list[Committed] = []
        """Called when the leaving events are settled."""
        self._waiting_for_fresh: list[Committed] = []
        """Called when the fresh events are settled."""
        self._suspect: LogFile | None = None
        """A file of which a sync has failed. Nothing more goes into the log until the file is
        emptied."""
        self._broken = False
        """A file could not be emptied. Nothing more goes into the log."""
        self._timer: asyncio.TimerHandle | None = None
        self.last_error = ""
        """Why the database refuses events that are safe in the log; empty when it takes them."""

    def commit(self, rows: list[Row], finished: Committed) -> None:
        """Make rows safe. `finished` is called when they are, or with an error. One batch is under
        way at a time."""
        if self.takes(rows):
            self._log_them(rows, finished)
        else:
            self.when_settled(partial(self._to_database, rows, finished))

    def takes(self, rows: Sequence[Row]) -> bool:
        """Whether these rows may go through the log."""
        if self._suspect is not None or self._broken:
            return False
        return bool(rows) and all(map(takes, rows))

    async def wait(self) -> None:
        """Wait as `when_settled` does. Raises `StorageError`."""
        if self.settled:
            return
        done: asyncio.Future[None] = self._loop.create_future()

        def told(error: StorageError | None) -> None:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)

        self.when_settled(told)
        await done

    def when_settled(self, told: Committed) -> None:
        """Call `told` when the database has every event that was acknowledged until now, or with
        the reason why it does not; at once, if there is nothing to wait for."""
        if self._fresh:
            self._waiting_for_fresh.append(told)
            self._settle()
        elif self._under_way:
            self._waiting.append(told)
        else:
            told(None)

    @property
    def settled(self) -> bool:
        """Whether the database has every event that was acknowledged."""
        return not self._fresh and not self._under_way

    def close(self) -> None:
        """Close the log. Events that are not settled stay in its files, for the next start."""
        if self._timer is not None:
            self._timer.cancel()
        self._syncer.close()
        self._log.close()

    # inner workings

    def _log_them(self, rows: list[Row], finished: Committed) -> None:
        assert not self._syncing
        if len(self._fresh) + len(self._leaving) + len(rows) > UNSETTLED_EVENTS_MAX:
            limit_hits.hit("UNSETTLED_EVENTS_MAX")
            error = StorageError("the database does not take what is safe in the log")
            self._loop.call_soon(finished, error)
            return
        try:
            self._log.append(cast(list[EventRow], rows))
            self._syncer.sync(self._log.current, partial(self._synced, rows, finished))
        except (OSError, DeviceError) as error:
            log.warning("call events go to the database at once: %s", error)
            self.when_settled(partial(self._to_database, rows, finished))
        else:
            self._syncing = True

    def _to_database(
        self, rows: list[Row], finished: Committed, error: StorageError | None
    ) -> None:
        if error is None:
            self._commit(rows, finished)
        else:
            finished(error)

    def _synced(self, rows: list[Row], finished: Committed, error: DeviceError | None) -> None:
        self._syncing = False
        if error is None:
            self._fresh += rows
            if len(self._fresh) >= SETTLE_EVENTS:
                self._wanted = True
            elif self._timer is None:
                self._timer = self._loop.call_later(SETTLE_S, self._settle)
        else:
            # Nobody knows which bytes are on disk. The events in this file are settled, and the
            # file is emptied.
            log.error("call events go to the database at once: %s", error)
            self._suspect, self._wanted = self._log.current, True
        if self._wanted:
            self._settle()
        finished(error)

    def _settle(self) -> None:
        """Begin to move the fresh events to the database. Not while a sync is under way: its events
        must not be emptied away with the others."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wanted = bool(self._fresh) or self._suspect == self._log.current
        if self._syncing or self._under_way or not self._wanted:
            return
        self._wanted, self._under_way = False, True
        self._leaving, self._fresh = self._fresh, []
        self._waiting, self._waiting_for_fresh = self._waiting_for_fresh, []
        self._log.turn()
        self._commit(self._leaving, self._left)

    def _left(self, error: StorageError | None) -> None:
        """Note the outcome of the events that were on their way to the database."""
        told = self._waiting
        if str(error or "") != self.last_error:
            self.last_error = str(error or "")
            if error is not None:
                log.error("call events stay in the log, the database takes none: %s", error)
        if error is not None:
            told += self._waiting_for_fresh
            self._waiting, self._waiting_for_fresh = [], []
            self._loop.call_later(RETRY_S, self._commit, self._leaving, self._left)
        else:
            self._leaving, self._waiting = [], []
            self._under_way = False
            if self._suspect != self._log.current:
                self._suspect = None
            try:
                self._log.empty_other()
            except OSError as failure:
                log.error("call events go to the database at once: %s", failure)
                self._broken = True
            if self._wanted or self._waiting_for_fresh:
                self._settle()
        for each in told:
            each(error)
