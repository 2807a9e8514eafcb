"""Versions in Python's and in Debian's spelling."""

import subprocess
from itertools import pairwise

import pytest

from deploy.packaging.errors import PackagingError
from deploy.packaging.version import PackageVersion

IN_ORDER = [
    ("0.2.0.dev3", "0.2.0~~dev3"),
    ("0.2.0a1", "0.2.0~a1"),
    ("0.2.0b1", "0.2.0~b1"),
    ("0.2.0rc1.dev1", "0.2.0~rc1~~dev1"),
    ("0.2.0rc1", "0.2.0~rc1"),
    ("0.2.0rc2", "0.2.0~rc2"),
    ("0.2.0", "0.2.0"),
    ("0.2.0+broken", "0.2.0+broken"),
    ("0.2.0.post1", "0.2.0+post1"),
    ("0.2.1", "0.2.1"),
    ("0.10.0", "0.10.0"),
]


@pytest.mark.parametrize(("python", "debian"), IN_ORDER)
def test_either_spelling_is_understood(python: str, debian: str) -> None:
    expected = PackageVersion(python=python, debian=debian)
    assert PackageVersion.parse(python) == expected
    if "post" not in python:
        assert PackageVersion.parse(debian) == expected


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(IN_ORDER)))
def test_dpkg_puts_them_in_pythons_order(lower: tuple[str, str], higher: tuple[str, str]) -> None:
    subprocess.run(["dpkg", "--compare-versions", lower[1], "lt", higher[1]], check=True)


@pytest.mark.parametrize(
    "text", ["", " ", "x", "1:0.2.0", "1!0.2.0", "0.2.0-1", "0.2.0~~", "0.2.0~", "~0.2", "0.2/0"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(PackagingError):
        PackageVersion.parse(text)
