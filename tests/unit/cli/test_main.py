"""The command line as a whole: verbs, options, exit codes."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from overlay.base.version import VERSION
from overlay.cli import exits
from overlay.cli.exits import Exit
from overlay.cli.main import VERBS
from overlay.control.control_protocol import Done, Refused
from overlay.control.operator_messages import GetStatus, Status

from .conftest import Cli, PlayedDaemon

STATUS = Status(id=0, farm="farm.test", nodes=())


def test_help_teaches_with_examples_and_lists_every_verb(cli: Cli) -> None:
    done = cli.run("--help", config=False)
    assert done.code == 0
    for word in (*VERBS, "examples:", "exit codes:", "sipfarm ca init", "--json"):
        assert word in done.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(cli: Cli, verb: str) -> None:
    done = cli.run(verb, "--help", config=False)
    assert (done.code, done.out.startswith(f"usage: sipfarm {verb}")) == (0, True)


def test_the_version_is_told(cli: Cli) -> None:
    assert cli.run("--version", config=False).out == f"sipfarm {VERSION}\n"


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("nonsense",),
        ("--nonsense", "status"),
        ("status", "--nonsense"),
        ("status", "--timeout", "0"),
        ("status", "--timeout", "x"),
        ("cdr",),
        ("cdr", "list", "--limit", "0"),
        ("cdr", "list", "--since", "yesterday"),
        ("location",),
        ("--config",),
    ],
)
def test_a_wrong_command_line_is_2(cli: Cli, argv: tuple[str, ...]) -> None:
    done = cli.run(*argv, config=False)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert "usage: " in done.err


def test_a_configuration_that_is_missing_or_wrong_is_2(cli: Cli) -> None:
    done = cli.run("--config", "/nowhere/farm.toml", "status", config=False)
    assert (done.code, done.err) == (2, "sipfarm: /nowhere/farm.toml: No such file or directory\n")
    cli.config.write_text("[farm]\nname = 1\n")
    done = cli.run("status")
    assert (done.code, "farm.toml" in done.err) == (2, True)


def test_no_daemon_is_3(cli: Cli) -> None:
    done = cli.run("status")
    assert (done.code, done.out) == (Exit.UNREACHABLE, "")
    assert "is the daemon running" in done.err


def test_a_silent_daemon_is_3(cli: Cli, played: PlayedDaemon) -> None:
    done = cli.run("status", "--timeout", "0.1")
    assert (done.code, done.out) == (Exit.UNREACHABLE, "")


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ("not-found", 1),
        ("bad-request", 2),
        ("too-large", 2),
        ("unavailable", 4),
        ("storage", 4),
        ("busy", 4),
        ("internal", 4),
        ("of-a-later-version", 4),
    ],
)
def test_refusals_tell_their_reason(
    cli: Cli, played: PlayedDaemon, refusal: str, code: int
) -> None:
    played.answer(Refused(id=0, code=refusal, reason="because\x1b[2J"))
    done = cli.run("status")
    assert (done.code, done.err) == (code, "sipfarm: because\\x1b[2J\n")


def test_nonsense_from_the_daemon_is_4(cli: Cli, played: PlayedDaemon) -> None:
    played.script = lambda request: b"\xc1"
    assert cli.run("status").code == Exit.REFUSED
    played.answer(Done(id=0))
    done = cli.run("status")
    assert (done.code, "answered GetStatus with Done" in done.err) == (Exit.REFUSED, True)


@pytest.mark.parametrize("after", [True, False])
def test_common_options_stand_before_or_after_the_verb(
    cli: Cli, played: PlayedDaemon, after: bool
) -> None:
    played.answer(STATUS)
    options = ("--config", str(cli.config), "--json", "--timeout", "7")
    argv = ("status", *options) if after else (*options, "status")
    assert cli.run(*argv, config=False).out == '{"farm": "farm.test", "nodes": []}\n'
    assert played.asked == [GetStatus(id=1, deadline_ms=7000)]


def test_the_socket_can_be_named_without_a_configuration(
    cli: Cli, played: PlayedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.answer(STATUS)
    cli.config.unlink()
    socket = str(cli.directory / "control.sock")
    assert cli.run("status", "--socket", socket, config=False).out == "farm farm.test\n" + (
        "NODE  STATE  READY  ADDRESS  ZONE  UPTIME  VERSION  BINDINGS  CALLS  SUBSCRIBERS  "
        "JOURNAL  REDIS  DISK  PROXY\n"
    )


def test_the_configuration_can_come_from_the_environment(
    cli: Cli, played: PlayedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.answer(STATUS)
    monkeypatch.setenv("SIPFARM_CONFIG", str(cli.config))
    assert "farm.test" in cli.run("status", config=False).out


def test_a_verb_imports_what_it_needs_alone() -> None:
    script = (
        "import sys; sys.modules['deploy'] = sys.modules['proxy'] = None\n"
        "from overlay.cli.main import main\n"
        "sys.exit(main(['check-config', '--config', '/nowhere']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "/nowhere" in done.stderr) == (2, True)


def test_a_reader_that_has_seen_enough_is_no_error(cli: Cli) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "overlay.cli.main", "check-config", "--show"]
    with os.fdopen(writing, "wb") as out:
        done = subprocess.run(
            [*command, "--config", str(cli.config)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_exit_codes_are_explained_where_help_is() -> None:
    for code in Exit:
        if code is not Exit.INTERRUPTED:
            assert f"\n  {code.value}  " in exits.EXPLANATION


def test_each_verb_is_a_file_of_its_own() -> None:
    for name, (module, _) in VERBS.items():
        path = import_module(module).__file__
        assert path is not None
        assert Path(path).stem == name.replace("-", "_")
