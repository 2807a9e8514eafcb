"""One command to Kamailio: carried out, refused, or without a Kamailio."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from overlay.kamailio import rpc
from overlay.kamailio.rpc import KamailioError, ask


def _answering(
    path: Path, answer: Callable[[dict[str, object]], dict[str, object]]
) -> threading.Thread:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))

    def serve() -> None:
        with listening:
            data, sender = listening.recvfrom(65_535)
            request = json.loads(data)
            told = {"jsonrpc": "2.0", "id": request["id"], **answer(request)}
            listening.sendto(json.dumps(told).encode(), sender)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_command_is_done_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.sock"
    asked: list[object] = []

    def done(request: dict[str, object]) -> dict[str, object]:
        asked.append(request["method"])
        return {"result": "Ok"}

    serving = _answering(path, done)
    assert ask(path, "tls.reload") == "Ok"
    serving.join()
    assert asked == ["tls.reload"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_kamailio_refuses_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.sock"
    serving = _answering(path, lambda _request: {"error": {"message": "bad key"}})
    with pytest.raises(KamailioError, match="bad key"):
        ask(path, "tls.reload")
    serving.join()


def test_an_answer_to_another_question_is_none(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.sock"
    serving = _answering(path, lambda _request: {"id": 7, "result": "Ok"})
    with pytest.raises(KamailioError, match="another question"):
        ask(path, "tls.reload")
    serving.join()


def test_the_daemon_is_told_the_same_as_a_command(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.sock"
    serving = _answering(path, lambda request: {"result": request["params"]})
    assert asyncio.run(rpc.ask_soon(path, rpc.STATISTICS, "all")) == ["all"]
    serving.join()
    serving = _answering(tmp_path / "other.sock", lambda _request: {"error": {"message": "no"}})
    with pytest.raises(KamailioError, match=r"refuses .*: no"):
        asyncio.run(rpc.ask_soon(tmp_path / "other.sock", rpc.STATISTICS))
    serving.join()


@pytest.mark.parametrize("result", [None, "core:x = 1", [1], {"core:x": 1}])
def test_what_is_no_list_of_lines_is_no_statistics(result: object) -> None:
    with pytest.raises(KamailioError, match="no list"):
        rpc.statistics(result)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "TIMEOUT_S", 0.05)
    with pytest.raises(KamailioError, match="does not answer"):
        ask(tmp_path / "kamailio.sock", "tls.reload")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(tmp_path / "kamailio.sock"))
        with pytest.raises(KamailioError, match="does not answer"):
            ask(tmp_path / "kamailio.sock", "tls.reload")
    assert [each.name for each in tmp_path.iterdir()] == ["kamailio.sock"]
