"""The entry points: every message ends, whatever the routes do."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import proxy
from overlay.config import config as configuration
from proxy import counters
from proxy.settings import Settings
from tests.unit.proxy.conftest import KEY
from tests.unit.proxy.fake_ksr import FakeKsr


@pytest.fixture
def main(kamailio: FakeKsr, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """proxy.main as Kamailio loads it."""
    kamailio.kx.get_def = lambda _name: ""
    monkeypatch.setitem(sys.modules, "KSR", kamailio)
    monkeypatch.setattr("site.addsitedir", lambda _path: None)
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield importlib.import_module("proxy.main")
    sys.modules.pop("proxy.main", None)


@pytest.fixture
def entry(main: Any, kamailio: FakeKsr) -> Any:
    data = {"farm": {"name": "farm.test"}, "node": {"name": "n1", "address": "192.0.2.1"}}
    settings = Settings.from_config(configuration.parse(data, "test"), KEY)
    return main.EntryPoints(kamailio.ksr, settings)


def test_no_file_beside_the_entry_points_hides_a_module_of_python() -> None:
    # Kamailio puts this folder on the path of every import.
    folder = Path(proxy.__file__).parent
    assert not {path.stem for path in folder.glob("*.py")} & sys.stdlib_module_names


def _broken() -> str:
    raise RuntimeError("broken")


def test_a_request_is_routed(entry: Any, kamailio: FakeKsr) -> None:
    kamailio.message.method = "OPTIONS"
    kamailio.message.request_uri = "sip:farm.test"
    assert entry.ksr_request_route(None) == 1
    assert kamailio.done == [200]


def test_an_exception_is_counted_logged_and_answered(entry: Any, kamailio: FakeKsr) -> None:
    kamailio.kx.get_method = _broken
    for _ in range(3):
        assert entry.ksr_request_route(None) == 1
    assert kamailio.done == [500] * 3
    assert kamailio.counts == {counters.PYTHON_ERRORS: 3}
    assert len(kamailio.log) == 1
    assert "RuntimeError" in kamailio.log[0]


def test_an_exception_in_the_answer_stays_in(entry: Any, kamailio: FakeKsr) -> None:
    kamailio.kx.get_method = _broken
    kamailio.sl.sl_send_reply = lambda _code, _reason: _broken()
    assert entry.ksr_request_route(None) == 1


def test_bytes_that_are_not_utf8_are_a_bad_request(entry: Any, kamailio: FakeKsr) -> None:
    def decode() -> str:
        return b"\xff".decode()

    kamailio.kx.get_method = decode
    entry.ksr_request_route(None)
    assert kamailio.done == [400]
    assert kamailio.counts == {counters.MALFORMED: 1}


@pytest.mark.parametrize(("status", "dropped"), [(180, False), (200, True)])
def test_a_reply_that_cannot_be_looked_at_is_not_let_past_billing(
    entry: Any, kamailio: FakeKsr, status: int, dropped: bool
) -> None:
    def fail_once() -> int:
        kamailio.kx.get_status = lambda: status
        raise RuntimeError("broken")

    kamailio.kx.get_status = fail_once
    assert entry.ksr_reply_route(None) == 1
    assert kamailio.dropped is dropped


def test_a_branch_that_fails_is_dropped(entry: Any, kamailio: FakeKsr) -> None:
    kamailio.tm.t_get_branch_index = _broken
    assert entry.ksr_branch_route(None) == 1
    assert kamailio.dropped


def test_a_branch_of_bytes_that_are_not_utf8_is_dropped(entry: Any, kamailio: FakeKsr) -> None:
    kamailio.tm.t_get_branch_index = b"\xff".decode
    assert entry.ksr_branch_route(None) == 1
    assert kamailio.dropped
    assert kamailio.counts == {counters.MALFORMED: 1}


def test_what_strangers_can_provoke_is_logged_by_no_process(
    entry: Any, kamailio: FakeKsr, main: Any
) -> None:
    entry.child_init(0)
    assert kamailio.done == []
    # A worker; a timer; the process that accepts connections.
    for rank in (1, -1, -4):
        kamailio.done.clear()
        entry.child_init(rank)
        assert kamailio.done == [("setdebug", main.LOG_LEVEL)]
    assert entry.ksr_onsend_route(None) == 1


@pytest.mark.parametrize("udp", [True, False])
def test_a_worker_of_connections_knows_how_long_it_had_no_rest(
    entry: Any, kamailio: FakeKsr, udp: bool
) -> None:
    entry.child_init(1)
    kamailio.message.protocol = "udp" if udp else "tcp"
    kamailio.message.method = "OPTIONS"
    kamailio.message.request_uri = "sip:farm.test"
    entry.ksr_request_route(None)
    assert (entry._busy is None) is udp
