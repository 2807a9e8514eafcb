"""What is read from installed Python packages: licences, dependencies, home pages."""

from pathlib import Path

import pytest

from deploy.packaging import bundle
from deploy.packaging.bundle import Bundled
from deploy.packaging.errors import PackagingError

CLASSIFIER = "Classifier: License :: OSI Approved :: "


def _install(packages: Path, name: str, *lines: str, text: str = "licenses/LICENSE") -> None:
    folder = packages / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    head = ("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", "Summary: about it")
    (folder / "METADATA").write_text("\n".join((*head, *lines)) + "\n")
    if text:
        (folder / text).parent.mkdir(exist_ok=True)
        (folder / text).write_text("Permission is hereby granted\n")


def _read(packages: Path) -> dict[str, Bundled]:
    return {each.name: each for each in bundle.read(packages)}


@pytest.mark.parametrize(
    ("lines", "licence", "is_spdx"),
    [
        (("License-Expression: MIT OR Apache-2.0", "License: x"), "MIT OR Apache-2.0", True),
        (("License: MIT License",), "MIT", True),
        (("License: Apache 2", f"{CLASSIFIER}Apache Software License"), "Apache-2.0", True),
        ((f"{CLASSIFIER}MIT License",), "MIT", True),
        ((f"{CLASSIFIER}BSD License",), "BSD License", False),
    ],
)
def test_a_licence_is_said_in_spdx_words_if_it_can_be(
    tmp_path: Path, lines: tuple[str, ...], licence: str, is_spdx: bool
) -> None:
    _install(tmp_path, "Some_Thing", *lines)
    found = _read(tmp_path)["some-thing"]
    assert (found.licence, found.is_spdx) == (licence, is_spdx)
    assert [path.name for path in found.texts] == ["LICENSE"]


def test_what_has_no_licence_is_not_passed_on(tmp_path: Path) -> None:
    _install(tmp_path, "bare", "License: MIT", text="")
    with pytest.raises(PackagingError, match="bare: has no licence"):
        bundle.read(tmp_path)


def test_needs_count_with_the_extras_that_are_asked_for(tmp_path: Path) -> None:
    licence = "License: MIT"
    _install(tmp_path, "top", licence, "Requires-Dist: middle[fast]>=1")
    _install(
        tmp_path,
        "middle",
        licence,
        "Requires-Dist: quick; extra == 'fast'",
        "Requires-Dist: drawn; extra == 'pictures'",
        "Requires-Dist: old; python_version < '3'",
    )
    for name in ("quick", "drawn", "old"):
        _install(tmp_path, name, licence)
    needs = {name: each.needs for name, each in _read(tmp_path).items()}
    assert needs == {"top": ("middle",), "middle": ("quick",), "quick": (), "drawn": (), "old": ()}


def test_the_homepage_is_found_under_its_names(tmp_path: Path) -> None:
    _install(tmp_path, "a", "License: MIT", "Project-URL: Source, https://a.example")
    _install(tmp_path, "b", "License: MIT", "Home-page: https://b.example")
    _install(tmp_path, "c", "License: MIT")
    assert [each.homepage for each in bundle.read(tmp_path)] == [
        "https://a.example", "https://b.example", "",
    ]  # fmt: skip
