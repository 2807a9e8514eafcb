"""Fixtures: an operator's CA, and its enrollment service in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from overlay.enrollment import token_book
from overlay.enrollment.service import EnrollmentService, Settings
from overlay.enrollment.token import Token
from overlay.identity import ca

FARM = "farm.test"
HOST = "127.0.0.1"
T = TypeVar("T")


@contextmanager
def serving(
    directory: Path,
    settings: Settings | None = None,
    overlay_port: int = 7460,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[int]:
    """The service of a CA; yields its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    service = EnrollmentService(directory, settings or {}, overlay_port, now)

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        yield run(service.start(HOST, 0))
        run(service.stop())
    finally:
        run(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True, kw_only=True)
class Operator:
    """The operator's machine."""

    ca: Path
    port: int

    def token(self, node: str = "", valid: timedelta = timedelta(hours=1)) -> Token:
        return token_book.make(self.ca, (HOST, self.port), node, valid, datetime.now(UTC))


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """A CA whose service runs."""
    ca.create(tmp_path / "ca", FARM)
    with serving(tmp_path / "ca") as port:
        yield Operator(ca=tmp_path / "ca", port=port)
