"""Gets the passwords for `sipfarm subscriber add`.

In: a prompt, stdin, a file with one password, or a table of users. Out: passwords, which are never
shown. Counterpart: `subscriber.py`.
"""

import csv
import getpass
import sys
from pathlib import Path
from typing import TextIO

from overlay.base.errors import ConfigError
from overlay.base.limits import PASSWORD_CHARS_MAX, SUBSCRIBERS_PER_FILE_MAX


def one(aor: str, given: str | None, file: Path | None) -> str:
    """One subscriber's password: from the command line, a file, a prompt, or stdin."""
    if given is not None:
        return _checked(given, "the password")
    if file is not None:
        try:
            with file.open(encoding="utf-8", newline="") as text:
                return _first_line(text, str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}") from error
    if not sys.stdin.isatty():
        return _first_line(sys.stdin, "stdin")
    password = getpass.getpass(f"Password for {aor}: ")
    if getpass.getpass("Once more: ") != password:
        raise ConfigError("the passwords differ; nothing was changed")
    return _checked(password, "the password")


def from_table(path: Path) -> list[tuple[str, str]]:
    """The users and passwords in a CSV file. Raises a `ConfigError` that names the line."""
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8", newline="") as text:
            reader = csv.reader(text, strict=True)
            for row in reader:
                if not row:
                    continue
                where = f"{path}:{reader.line_num}"
                if len(row) != 2 or not row[0].strip():
                    raise ConfigError(f"{where}: must be user,password")
                user = row[0].strip()
                if user in found:
                    raise ConfigError(f"{where}: {user} was there before")
                if len(found) >= SUBSCRIBERS_PER_FILE_MAX:
                    raise ConfigError(f"{where}: more than {SUBSCRIBERS_PER_FILE_MAX} subscribers")
                found[user] = _checked(row[1], where)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not found:
        raise ConfigError(f"{path}: is empty")
    return list(found.items())


def _first_line(text: TextIO, where: str) -> str:
    return _checked(text.readline(PASSWORD_CHARS_MAX + 3).rstrip("\r\n"), where)


def _checked(password: str, where: str) -> str:
    if not password:
        raise ConfigError(f"{where}: an empty password")
    if len(password) > PASSWORD_CHARS_MAX or not password.isprintable():
        raise ConfigError(
            f"{where}: a password has up to {PASSWORD_CHARS_MAX} printable characters"
        )
    return password
