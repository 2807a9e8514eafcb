"""A record under a lease is the newest, and leaves the cache when the lease ends."""

import asyncio
from typing import Any

from overlay.cache.hot import HotRecords
from overlay.records.registration import Binding, Registration

KEY, AOR = b"k" * 20, "alice@farm.test"


class Shown:
    """In place of Redis: what is shown, and for how long."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[bytes, int]] = {}

    def set(self, key: str, value: bytes, ttl_ms: int) -> "asyncio.Future[None]":
        self.entries[key] = (value, ttl_ms)
        return self._done()

    def delete(self, key: str) -> "asyncio.Future[None]":
        self.entries.pop(key, None)
        return self._done()

    def clear(self) -> None:
        self.entries.clear()

    @staticmethod
    def _done() -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


def record(changed: int, expires_at_ms: int = 60_000, removed: bool = False) -> Registration:
    contact = "sip:a@192.0.2.1"
    return (
        Binding(
            contact=contact,
            call_id="c",
            cseq=changed,
            expires_at_ms=expires_at_ms,
            changed=changed,
            received=f"sip:192.0.2.{changed}",
            removed=removed,
        ),
    )


def run(story: Any) -> None:
    async def inner() -> None:
        shown = Shown()
        await story(HotRecords(shown, lambda: 0, frozenset), shown)  # type: ignore[arg-type]

    asyncio.run(inner())


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_push_that_overtakes_its_read_is_not_lost() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        hot.changed(KEY, record(2))
        targets = hot.read_ends(KEY, AOR, record(1), now_s() + 10)
        assert targets[0].received == "sip:192.0.2.2"
        assert b"192.0.2.2" in shown.entries[f"l:{AOR}"][0]

    run(story)


def test_two_reads_at_once_both_end_with_the_newest() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        hot.read_begins(KEY)
        hot.read_ends(KEY, AOR, record(3), now_s() + 10)
        assert hot.read_ends(KEY, AOR, record(1), now_s() + 10)[0].received == "sip:192.0.2.3"

    run(story)


def test_a_failed_read_leaves_nothing_behind() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        assert hot.read_ends(KEY, AOR, None, 0.0) == ()
        assert hot.changed(KEY, record(2)) is None
        assert shown.entries == {}

    run(story)


def test_a_removal_takes_the_entry_away() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        hot.read_ends(KEY, AOR, record(1), now_s() + 10)
        assert hot.changed(KEY, record(2, removed=True)) is not None
        assert shown.entries == {}
        assert hot.targets(KEY) is None

    run(story)


def test_nothing_is_shown_longer_than_its_lease_or_its_binding() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        for expires_at_ms, lease_s, longest_ms in ((60_000, 5, 5_000), (3_000, 60, 3_000)):
            hot.read_begins(KEY)
            hot.read_ends(KEY, AOR, record(1, expires_at_ms), now_s() + lease_s)
            assert 0 < shown.entries[f"l:{AOR}"][1] <= longest_ms
            hot.changed(KEY, record(2, removed=True))

    run(story)


def test_after_the_lease_the_overlay_is_asked_again() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        assert hot.read_ends(KEY, AOR, record(1), now_s() - 1)
        assert shown.entries == {}
        assert hot.targets(KEY) is None

    run(story)


def test_a_read_without_a_lease_does_not_hide_changes_from_what_is_shown() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        hot.read_begins(KEY)
        hot.read_ends(KEY, AOR, record(1), now_s() + 10)
        hot.read_ends(KEY, AOR, record(1), now_s() - 1)
        assert hot.changed(KEY, record(2)) is not None
        assert b"192.0.2.2" in shown.entries[f"l:{AOR}"][0]

    run(story)


def test_the_leases_of_one_replica_end() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        other = b"o" * 20
        for key, aor, granters in (
            (KEY, AOR, (b"a", b"b")),
            (other, "bob@farm.test", (b"b", b"c")),
        ):
            hot.read_begins(key)
            hot.read_ends(key, aor, record(1), now_s() + 10, granters)
            hot.keep_subscriber(key, None, now_s() + 10, granters)
        turn = hot.turn
        hot.end_leases_of(b"a")
        assert hot.targets(KEY) is None
        assert hot.subscriber(KEY) is None
        assert hot.targets(other)
        under_lease = hot.subscriber(other)
        assert under_lease is not None
        assert under_lease.record is None
        assert set(shown.entries) == {"l:bob@farm.test"}
        assert hot.turn > turn

    run(story)


def test_all_leases_end_at_once_and_redis_shows_nothing_any_more() -> None:
    async def story(hot: HotRecords, shown: Shown) -> None:
        hot.read_begins(KEY)
        hot.read_ends(KEY, AOR, record(1), now_s() + 10)
        hot.keep_subscriber(KEY, None, now_s() + 10)
        turn = hot.turn
        hot.end_leases()
        assert hot.targets(KEY) is None
        assert hot.subscriber(KEY) is None
        assert not shown.entries
        assert hot.turn > turn

    run(story)
