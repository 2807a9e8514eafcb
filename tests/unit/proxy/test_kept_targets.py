"""A worker never keeps a target that Redis no longer has."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.cache.generations import FILE_BYTES, PLACES, Generations, place_of
from overlay.records.targets import CachedTargets, Target
from proxy.kept_targets import KEPT_MAX, LOOK_EVERY_S, KeptTargets
from tests.unit.proxy.conftest import Clock

KEY = "l:bob@farm.test"
BOB = (Target(uri="sip:bob@192.0.2.20"),)
LATER_MS = 2**40


def found(targets: tuple[Target, ...] = BOB, until_ms: int = LATER_MS) -> CachedTargets:
    return CachedTargets(until_ms=until_ms, targets=targets)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "generations"


@pytest.fixture
def daemon(path: Path) -> Generations:
    return Generations.in_file(path)


@pytest.fixture
def kept(daemon: Generations, path: Path, clock: Clock) -> KeptTargets:
    assert path.stat().st_mode & 0o007 == 0
    kept = KeptTargets(path, clock)
    assert kept.get(KEY) == ()
    kept.keep(KEY, kept.mark(KEY), found())
    assert kept.get(KEY) == BOB
    return kept


def test_what_has_not_changed_is_kept(daemon: Generations, kept: KeptTargets) -> None:
    other = next(f"l:{n}" for n in range(99) if place_of(f"l:{n}") != place_of(KEY))
    daemon.changed(other)
    assert kept.get(KEY) == BOB


def test_what_has_changed_is_not(daemon: Generations, kept: KeptTargets) -> None:
    daemon.changed(KEY)
    assert kept.get(KEY) == ()
    kept.keep(KEY, kept.mark(KEY), found())
    assert kept.get(KEY) == BOB
    daemon.all_changed()
    assert kept.get(KEY) == ()


def test_a_change_while_redis_is_asked_counts(daemon: Generations, kept: KeptTargets) -> None:
    mark = kept.mark(KEY)
    daemon.changed(KEY)
    kept.keep(KEY, mark, found())
    assert kept.get(KEY) == ()


def test_nothing_is_kept_beyond_its_end(kept: KeptTargets, clock: Clock) -> None:
    kept.keep(KEY, kept.mark(KEY), found(until_ms=int(clock.now_s * 1000) + 5_000))
    clock.now_s += 4.9
    assert kept.get(KEY) == BOB
    clock.now_s += 0.2
    assert kept.get(KEY) == ()


def test_the_next_daemon_goes_on_with_the_same_numbers(
    daemon: Generations, kept: KeptTargets, path: Path
) -> None:
    Generations.in_file(path).all_changed()
    assert kept.get(KEY) == ()
    assert daemon.numbers[PLACES] == 1


def test_another_file_is_noticed(kept: KeptTargets, path: Path, clock: Clock) -> None:
    path.write_bytes(b"\0" * 8)
    clock.now_s += LOOK_EVERY_S
    assert kept.get(KEY) == ()
    assert kept.mark(KEY) is None
    Generations.in_file(path)
    assert path.stat().st_size == FILE_BYTES
    clock.now_s += LOOK_EVERY_S
    assert kept.get(KEY) == ()
    kept.keep(KEY, kept.mark(KEY), found())
    assert kept.get(KEY) == BOB
    path.unlink()
    clock.now_s += LOOK_EVERY_S
    assert kept.get(KEY) == ()


def test_without_a_file_nothing_is_kept(tmp_path: Path, clock: Clock) -> None:
    kept = KeptTargets(tmp_path / "none", clock)
    assert kept.get(KEY) == ()
    kept.keep(KEY, kept.mark(KEY), found())
    assert kept.get(KEY) == ()


def test_a_daemon_that_can_make_no_file_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("not a directory")
    Generations.in_file(tmp_path / "run" / "generations").changed(KEY)


def test_no_more_is_kept_than_a_worker_should(kept: KeptTargets) -> None:
    for number in range(KEPT_MAX):
        kept.keep(f"l:{number}", kept.mark(f"l:{number}"), found())
    assert kept.get(KEY) == ()
    assert kept.get("l:0") == BOB


def test_numbers_never_end() -> None:
    generations = Generations()
    generations.numbers[PLACES] = generations.numbers[place_of(KEY)] = 2**64 - 1
    generations.changed(KEY)
    generations.all_changed()
    assert generations.numbers[PLACES] == generations.numbers[place_of(KEY)] == 0


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_every_key_has_a_place(key: str) -> None:
    assert 0 <= place_of(key) < PLACES
