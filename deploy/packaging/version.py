"""Writes a version as Python and as Debian spell it.

In: a version from a person or from pyproject.toml: `0.2.0`, `0.2.0rc1` or `0.2.0~rc1`. Out: both
spellings, which sort alike: Python's for the wheel, Debian's for the package. Counterpart:
`overlay.base.version`, which gives the running version in Python's spelling.
"""

from dataclasses import dataclass
from typing import Self

from packaging.version import InvalidVersion, Version

from deploy.packaging.errors import PackagingError


@dataclass(frozen=True, kw_only=True)
class PackageVersion:
    """One version in two spellings."""

    python: str
    """The spelling of PEP 440: `0.2.0rc1`."""
    debian: str
    """The spelling of deb-version(7): `0.2.0~rc1`, which sorts before `0.2.0`, as it must."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The version that `text` gives in either spelling; raises `PackagingError` for other
        text."""
        try:
            version = Version(text.replace("~", ""))
        except InvalidVersion as error:
            raise PackagingError(
                f"{text!r} is no version; such are 0.2.0, 0.2.0~rc1, 0.2.0.post1, 0.2.0+site1"
            ) from error
        if version.epoch or "-" in text:
            raise PackagingError(f"{text!r}: a version here has neither epoch nor revision")
        both = cls(python=str(version), debian=_debian(version))
        if "~" in text and text != both.debian:
            raise PackagingError(f"{text!r} is no version; is {both.debian} meant?")
        return both


def _debian(version: Version) -> str:
    """Debian's spelling. Python sorts dev, a, b, rc, the version itself, post; in Debian's order,
    `~` sorts even before the end of the text."""
    text = version.base_version
    if version.pre is not None:
        text += f"~{version.pre[0]}{version.pre[1]}"
    if version.post is not None:
        text += f"+post{version.post}"
    if version.dev is not None:
        text += f"~~dev{version.dev}"
    if version.local is not None:
        text += f"+{version.local}"
    return text
