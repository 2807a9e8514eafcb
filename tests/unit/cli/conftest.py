"""Fixtures: a stand-in for the daemon, with prepared answers on a real control socket."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from overlay.base.frames import FrameBuffer, pack
from overlay.base.limits import CONTROL_REQUEST_BYTES_MAX
from overlay.cli.main import main
from overlay.config import config as configuration
from overlay.control import control_codec
from overlay.control.control_protocol import ControlAnswer, ControlRequest

FARM = "farm.test"

Script = Callable[[ControlRequest], ControlAnswer | bytes | None]
"""What to answer: a message, raw bytes of a frame's payload, or nothing at all."""


class PlayedDaemon:
    """Answers on a Unix socket with what `script` says, and keeps what it was asked."""

    def __init__(self, path: Path) -> None:
        self.asked: list[ControlRequest] = []
        self.script: Script = lambda request: None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def answer(self, *answers: ControlAnswer) -> None:
        """Give these answers, one after the other."""
        left = list(answers)
        self.script = lambda request: left.pop(0)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        buffer = FrameBuffer(CONTROL_REQUEST_BYTES_MAX)
        while data := connection.recv(1 << 16):
            for received in buffer.feed(data):
                request = control_codec.decode_request(received)
                self.asked.append(request)
                answer = self.script(request)
                if answer is None:
                    continue
                if isinstance(answer, bytes):
                    payload = answer
                else:
                    payload = control_codec.encode(msgspec.structs.replace(answer, id=request.id))
                connection.sendall(pack(payload))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Cli:
    """Runs command lines against a node's configuration."""

    directory: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.directory / "farm.toml"

    def run(self, *argv: str, config: bool = True) -> Outcome:
        arguments: Sequence[str] = ["--config", str(self.config), *argv] if config else argv
        self.capture.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        shown = self.capture.readouterr()
        return Outcome(code=int(code), out=shown.out, err=shown.err)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A node's farm.toml and the command."""
    monkeypatch.delenv("SIPFARM_CONFIG", raising=False)
    sections = {
        "farm": {"name": FARM},
        "node": {
            "name": "n1",
            "address": "192.0.2.1",
            "run_dir": str(tmp_path),
            "identity_dir": str(tmp_path / "identity"),
        },
    }
    text = configuration.dump(configuration.parse(sections, "test"))
    (tmp_path / "farm.toml").write_text(text)
    return Cli(directory=tmp_path, capture=capsys)


@pytest.fixture
def played(cli: Cli) -> Iterator[PlayedDaemon]:
    """The daemon of the node."""
    daemon = PlayedDaemon(cli.directory / "control.sock")
    yield daemon
    daemon.close()
