"""Writes down the licences of everything in the package.

In: the list of the environment's Python packages. Out: the file `copyright` in Debian's form, which
also is the list for people, and a folder with the texts. Counterpart: `bundle.py`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.packaging.bundle import Bundled
from deploy.packaging.environment import HOME, site_packages

_HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: sipfarm
Comment: The Python packages that sipfarm needs are part of this package, each
 with its own licence; their texts are in /usr/share/doc/sipfarm/licences.
 What is compiled into some of them is listed in their own lists, which
 sbom.cdx.json names.

Files: *
Copyright: the authors of sipfarm
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
"""


def write(documents: Path, bundled: Sequence[Bundled]) -> None:
    """Write the list and the texts into `documents`, the folder of the package's documents."""
    paragraphs = [_HEAD]
    for each in bundled:
        if each.name == "sipfarm":
            continue
        texts = documents / "licences" / each.name
        texts.mkdir(parents=True)
        for text in each.texts:
            shutil.copyfile(text, texts / text.name)
        paragraphs.append(
            f"Files: {site_packages(HOME)}/{each.name.replace('-', '_')}*\n"
            f"Copyright: the authors of {each.name} {each.version}\n"
            f"License: {each.licence.replace(' OR ', ' or ').replace(' AND ', ' and ')}\n"
            f" The text is in /usr/share/doc/sipfarm/licences/{each.name}/.\n"
            + (f"Comment: {each.homepage}\n" if each.homepage else "")
        )
    (documents / "copyright").write_text("\n".join(paragraphs))
