"""Makes man pages and shell completions of the commands from the commands' own parsers.

In: the folder of the package's files. Out: sipfarm(1), sipfarm-overlay(8), and completions for bash
and zsh. Counterparts: `overlay.cli.main` and `overlay.daemon.main`, which have the parsers.
`files.py` runs this module as a program, with the package's own Python.
"""

import argparse
import gzip
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import shtab

from overlay.base.version import VERSION
from overlay.cli import main as cli
from overlay.daemon import main

LEFT_OUT: Final = frozenset({"lab"})
"""Verbs that the package does not bring."""
_COMMON: Final = "common options"
_HEADINGS: Final = {"examples": "EXAMPLES", "exit codes": "EXIT STATUS"}
_FILES: Final = (
    ("/etc/sipfarm/farm.toml", "The settings: the node's name and address, the farm's name."),
    ("/etc/sipfarm", "The node's key and certificates."),
    ("/etc/sipfarm/rendered", "The files that Kamailio, Redis and PowerDNS of the node read."),
    ("/var/lib/sipfarm", "Registrations and billing records. Never removed by the package."),
    ("/run/sipfarm", "Sockets."),
)


def write(package: Path) -> None:
    """Write all man pages and completions below `package`."""
    sipfarm = _installed(cli.parser_of(set(cli.VERBS) - LEFT_OUT))
    overlay = main.command_line()
    share = package / "usr/share"
    for section, parser, other in (
        (1, sipfarm, "sipfarm-overlay(8), kamailio(8), pdns_server(1), redis-server(1)"),
        (8, overlay, "sipfarm(1)"),
    ):
        page = share / f"man/man{section}" / f"{parser.prog}.{section}.gz"
        page.parent.mkdir(parents=True)
        text = "".join(_page(parser, section, other))
        page.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    _mark_paths(sipfarm)
    for shell, place in (
        ("bash", "bash-completion/completions/sipfarm"),
        ("zsh", "zsh/vendor-completions/_sipfarm"),
    ):
        target = share / place
        target.parent.mkdir(parents=True)
        target.write_text(shtab.complete(sipfarm, shell).rstrip() + "\n")


def _page(parser: argparse.ArgumentParser, section: int, other: str) -> Iterator[str]:
    date = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    summary, _, rest = (parser.description or "").partition("\n\n")
    yield f'.TH {parser.prog.upper()} {section} "{date:%Y-%m-%d}" "sipfarm {VERSION}" "sipfarm"\n'
    yield f".SH NAME\n{_plain(parser.prog)} \\- {_plain(summary.rstrip('.'))}\n"
    yield ".SH SYNOPSIS\n" + _usage(parser)
    if rest:
        yield f".SH DESCRIPTION\n{_plain(rest)}\n"
    yield ".SH OPTIONS\n" + "".join(_options(parser, with_common=True))
    verbs = list(_verbs(parser))
    if verbs:
        yield ".SH VERBS\n"
        for each in verbs:
            yield f'.SS "{_plain(each.prog.partition(" ")[2])}"\n'
            yield f"{_plain(each.description or '')}\n.PP\n{_usage(each)}"
            yield "".join(_options(each, with_common=False))
            if each.epilog:
                yield ".PP\n" + _preformatted(each.epilog)
    yield from _closing(parser)
    yield ".SH FILES\n" + "".join(f".TP\n.I {_plain(path)}\n{text}\n" for path, text in _FILES)
    yield f".SH SEE ALSO\n{_plain(other)}\n"


def _installed(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser without the verbs of `LEFT_OUT`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name in LEFT_OUT:
                action.choices.pop(name)
            action._choices_actions = [
                each for each in action._choices_actions if each.dest not in LEFT_OUT
            ]
    return parser


def _verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of the verbs below `parser`. A verb that has verbs itself gives those instead."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                below = list(_verbs(each))
                yield from below or [each]


def _options(parser: argparse.ArgumentParser, *, with_common: bool) -> Iterator[str]:
    for group in parser._action_groups:
        if group.title == _COMMON and not with_common:
            continue
        for action in group._group_actions:
            if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
                continue
            if action.option_strings or action.help:
                yield f".TP\n{_option(action)}\n{_plain(_help(parser, action))}\n"


def _option(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        return f"\\fI{_plain(value)}\\fR"
    names = ", ".join(f"\\fB{_plain(name)}\\fR" for name in action.option_strings)
    return f"{names} \\fI{_plain(value)}\\fR" if action.nargs != 0 else names


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else "\\&"


def _closing(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The lines of the text at the end of --help, with its headings as sections."""
    section: list[str] = []
    heading = "NOTES"
    for line in [*(parser.epilog or "").splitlines(), "end:"]:
        title = line.removesuffix(":")
        if title == line or not (title in _HEADINGS or title == "end"):
            section.append(line)
            continue
        if text := "\n".join(section).strip("\n"):
            yield f".SH {heading}\n{_preformatted(text)}"
        section, heading = [], _HEADINGS.get(title, "")


def _usage(parser: argparse.ArgumentParser) -> str:
    return _preformatted(re.sub(r"^usage: ", "", parser.format_usage()).strip())


def _preformatted(text: str) -> str:
    return f".nf\n{_plain(text)}\n.fi\n"


def _plain(text: str) -> str:
    """`text`, escaped so that roff prints it as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def _mark_paths(parser: argparse.ArgumentParser) -> None:
    """Let shells complete files and folders for the options that take one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _mark_paths(each)
        elif action.type is Path:
            kind = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
