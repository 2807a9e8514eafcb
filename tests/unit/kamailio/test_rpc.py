"""One command to Kamailio: done, refused, nobody there."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from overlay.kamailio import rpc
from overlay.kamailio.rpc import KamailioError, ask


def _answering(path: Path, answer: Callable[[dict[str, object]], object]) -> threading.Thread:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))

    def serve() -> None:
        with listening:
            data, sender = listening.recvfrom(65_535)
            listening.sendto(json.dumps(answer(json.loads(data))).encode(), sender)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_command_is_done_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.sock"
    asked: list[object] = []
    serving = _answering(path, lambda request: asked.append(request["method"]) or {"result": "Ok"})
    ask(path, "tls.reload")
    serving.join()
    assert asked == ["tls.reload"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_kamailio_refuses_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.sock"
    serving = _answering(path, lambda _request: {"error": {"message": "bad key"}})
    with pytest.raises(KamailioError, match="bad key"):
        ask(path, "tls.reload")
    serving.join()


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "TIMEOUT_S", 0.05)
    with pytest.raises(KamailioError, match="does not answer"):
        ask(tmp_path / "kamailio.sock", "tls.reload")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(tmp_path / "kamailio.sock"))
        with pytest.raises(KamailioError, match="does not answer"):
            ask(tmp_path / "kamailio.sock", "tls.reload")
    assert [each.name for each in tmp_path.iterdir()] == ["kamailio.sock"]
