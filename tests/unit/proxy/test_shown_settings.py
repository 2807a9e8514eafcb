"""A worker sees new settings soon, and keeps the old ones when it cannot read any."""

from pathlib import Path

from overlay.cache import shown_settings
from overlay.records.settings import FarmSettings, Shown, Trunk
from proxy.shown_settings import LOOK_EVERY_S, ShownSettings
from tests.unit.proxy.conftest import Clock


def named(name: str) -> Shown:
    trunk = Trunk(name=name, prefixes=("+",), gateways=())
    return Shown(settings=FarmSettings(trunks=(trunk,)), down=("sip:x",), gone=(f"n-{name}",))


def test_what_the_daemon_writes_is_read_when_it_changes(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "run" / "settings.json"
    shown = ShownSettings(path, clock)
    assert shown.table().by_prefix == {}
    shown_settings.write(path, named("one"))
    assert path.stat().st_mode & 0o007 == 0
    assert shown.table().by_prefix == {}
    clock.now_s += LOOK_EVERY_S
    first = shown.table()
    assert (first.by_prefix["+"].name, first.down) == ("one", {"sip:x"})
    assert shown.gone() == {"n-one"}
    clock.now_s += LOOK_EVERY_S
    assert shown.table() is first
    shown_settings.write(path, named("two"))
    clock.now_s += LOOK_EVERY_S
    second = shown.table()
    assert second.by_prefix["+"].name == "two"
    path.write_text("nonsense")
    clock.now_s += LOOK_EVERY_S
    assert shown.table() is second
    path.unlink()
    clock.now_s += LOOK_EVERY_S
    assert shown.table() is second
