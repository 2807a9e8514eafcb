"""Drives a Chromium without a screen, over the pipe of its DevTools protocol.

In: a page's files by URL, expressions to evaluate. Out: their values, the page's reports by
`window.tell`, pictures of the page. Counterpart: `phones_browser.py`.
"""

import base64
import json
import mimetypes
import os
import select
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from deploy.lab import LabError

_ANSWER_S: Final = 20.0
_END_S: Final = 10.0
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",  # It does not start as root otherwise.
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    # Names in place of addresses, told by multicast DNS, are nothing to other phones.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=700,500",
    "--remote-debugging-pipe",
)
_CONSOLE: Final = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


class Chromium:
    """One browser with one page; close it."""

    def __init__(
        self, home: Path, command_on: Callable[[Sequence[str]], Sequence[str]], authority: Path
    ) -> None:
        """Start it in `home`, which it may fill, by the command line that `command_on` makes of
        its own; certificates of this CA (PEM) are good to it."""
        self._log = home / "log"
        _trust(home, authority)
        argv = ["chromium", *_OPTIONS, f"--user-data-dir={home / 'profile'}", "about:blank"]
        # The pipes are where Chromium wants them, and its own output is out of their way.
        script = f"exec {shlex.join(argv)} 3<&0 4>&1 </dev/null >{shlex.quote(str(self._log))} 2>&1"
        self._process = subprocess.Popen(
            command_on(["env", f"HOME={home}", "sh", "-c", script]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._told: deque[str] = deque()
        self._answers: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._buffer = b""
        self._session = ""
        self._directory = Path()
        try:
            self._attach()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def open(self, origin: str, directory: Path, name: str) -> None:
        """Show a page of this directory, as a web server at `origin` would serve it."""
        self._directory = directory
        # Farms of the lab have private addresses; browsers ask their user before a page goes there.
        self._ask("Browser.grantPermissions", permissions=["localNetwork"])
        patterns = [{"urlPattern": f"{origin}/*"}]
        self._ask("Fetch.enable", patterns=patterns)
        self._ask("Page.navigate", url=f"{origin}/{name}")
        until_s = time.monotonic() + _ANSWER_S
        while not self.evaluate("document.readyState === 'complete' && !!window.phone"):
            if time.monotonic() > until_s:
                raise LabError(f"{origin}/{name} does not load; see {self._log}")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, also of one that promises it."""
        answer = self._ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise LabError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def listen(self, timeout_s: float) -> list[dict[str, Any]]:
        """What the page told since; waits so long for something."""
        if not self._told:
            self._read(timeout_s)
        told = [json.loads(each) for each in self._told]
        self._told.clear()
        return told

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._send("Browser.close", {}, session="")
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def _attach(self) -> None:
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        answer = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")
        self._ask("Runtime.addBinding", name="tell")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, parameters, session=self._session)
        until_s = time.monotonic() + _ANSWER_S
        while number not in self._answers:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise LabError(f"no answer of Chromium to {method}; see {self._log}")
            self._read(left_s)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise LabError(f"Chromium refuses {method}: {answer['error']}")
        return dict(answer["result"])

    def _send(self, method: str, parameters: dict[str, Any], *, session: str) -> int:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        assert self._process.stdin
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[self._process.stdin.write(data) or 0 :]
        return self._number

    def _read(self, timeout_s: float) -> None:
        assert self._process.stdout
        output = self._process.stdout.fileno()
        if not select.select([output], [], [], timeout_s)[0]:
            return
        data = os.read(output, 1 << 20)
        if not data:
            raise LabError(f"Chromium has ended; see {self._log}")
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for each in messages:
            self._take(json.loads(each))

    def _take(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if "id" in message:
            self._answers[message["id"]] = message
        elif message["method"] == "Runtime.bindingCalled":
            self._told.append(parameters["payload"])
        elif message["method"] == "Fetch.requestPaused":
            self._serve(parameters)
        elif message["method"] in _CONSOLE:
            with open(self._log.with_name("console"), "a", encoding="utf-8") as console:
                console.write(json.dumps(parameters) + "\n")

    def _serve(self, parameters: dict[str, Any]) -> None:
        path = parameters["request"]["url"].split("/", 3)[3].partition("?")[0]
        file = self._directory / path
        found = file.is_file()
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        fields: dict[str, Any] = {
            "requestId": parameters["requestId"],
            "responseCode": 200 if found else 404,
            "responseHeaders": [{"name": "Content-Type", "value": kind}],
            "body": base64.b64encode(file.read_bytes() if found else b"").decode(),
        }
        self._send("Fetch.fulfillRequest", fields, session=self._session)


def _trust(home: Path, authority: Path) -> None:
    """What somebody does who imports a CA in the browser's settings."""
    database = home / ".pki/nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True, timeout=_ANSWER_S)
    imported = ["-A", "-n", "lab", "-t", "C,,", "-i", str(authority)]
    subprocess.run([*certutil, *imported], check=True, timeout=_ANSWER_S)
