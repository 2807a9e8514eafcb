"""Reads which Python packages the environment holds: names, versions, licences, dependencies.

In: the folder that the packages were installed in. Out: a list of them. Counterparts: `licences.py`
and `sbom.py`, which show the list.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.packaging.errors import PackagingError

_SPOKEN: Final = {
    "Apache 2": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
}
"""The SPDX identifiers for names that some packages give to licences."""
_TEXTS: Final = ("licen", "copying", "notice")


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """One Python package in the environment."""

    name: str
    """The name in the form in which registries compare names: lower case, dashes."""
    version: str
    summary: str
    homepage: str
    """The address of the package's home page; empty if it gives none."""
    licence: str
    """The licence that the package declares, as an SPDX expression where there is one."""
    is_spdx: bool
    texts: tuple[Path, ...]
    """The files with the texts of its licences."""
    boms: tuple[Path, ...]
    """The files in which the package lists what is compiled into it (PEP 770)."""
    needs: tuple[str, ...]
    """The names of the packages in the environment that this one needs."""


def read(packages: Path) -> list[Bundled]:
    """All packages in the folder, sorted by name; raises `PackagingError` for a package without a
    licence."""
    found: dict[str, Distribution] = {
        canonicalize_name(each.metadata["Name"]): each
        for each in distributions(path=[str(packages)])
    }
    needs = _needs(found)
    return [_bundled(name, found[name], packages, needs[name]) for name in sorted(found)]


def _bundled(
    name: str, distribution: Distribution, packages: Path, needs: Sequence[str]
) -> Bundled:
    metadata = distribution.metadata
    folders = list(packages.glob("*.dist-info"))
    (folder,) = (each for each in folders if canonicalize_name(each.name.split("-")[0]) == name)
    texts = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word in path.name.lower() for word in _TEXTS)
    ]
    licence, is_spdx = _licence(distribution)
    if not texts or not licence:
        raise PackagingError(f"{name}: has no licence; it cannot be passed on")
    if len({path.name for path in texts}) < len(texts):
        raise PackagingError(f"{name}: has two licences of one name: {texts}")
    return Bundled(
        name=name,
        version=distribution.version,
        summary=metadata["Summary"] or "",
        homepage=_homepage(distribution),
        licence=licence,
        is_spdx=is_spdx,
        texts=tuple(texts),
        boms=tuple(sorted(folder.glob("sboms/*"))),
        needs=tuple(needs),
    )


def _licence(distribution: Distribution) -> tuple[str, bool]:
    """The licence that the package declares, from its most exact field; and whether it is an SPDX
    expression."""
    metadata = distribution.metadata
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or ()
        if text.startswith("License :: ")
    ]
    said = [metadata["License-Expression"], metadata["License"], " OR ".join(classifiers)]
    candidates = [_SPOKEN.get(text, text) for text in said if text]
    for text in candidates:
        try:
            return str(canonicalize_license_expression(text)), True
        except InvalidLicenseExpression:
            continue
    return (candidates[0], False) if candidates else ("", False)


def _homepage(distribution: Distribution) -> str:
    metadata = distribution.metadata
    named = dict(
        text.lower().split(", ", 1)
        for text in metadata.get_all("Project-URL") or ()
        if ", " in text
    )
    words = ("homepage", "home", "source", "source code", "repository", "github", "documentation")
    return metadata["Home-page"] or next((named[word] for word in words if word in named), "")


def _needs(found: dict[str, Distribution]) -> dict[str, list[str]]:
    """The packages that each package needs, also for the extras that other packages ask for."""
    extras: dict[str, set[str]] = defaultdict(set)
    needs: dict[str, set[str]] = {}
    for _ in found:
        before = {name: set(each) for name, each in needs.items()}
        for name, distribution in found.items():
            asked = [
                each
                for each in map(Requirement, distribution.requires or ())
                if each.marker is None
                or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras[name]))
            ]
            for each in asked:
                extras[canonicalize_name(each.name)] |= each.extras
            needs[name] = {canonicalize_name(each.name) for each in asked}
        if needs == before:
            break
    return {name: sorted(each & found.keys()) for name, each in needs.items()}
