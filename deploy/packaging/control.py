"""Writes what dpkg must know of the package: DEBIAN/control, checksums, maintainer scripts.

In: the package's files, the project's description. Out: the package's DEBIAN folder. Counterparts:
the scripts in debian/, which dpkg runs; `proxy/kamailio.cfg.j2`, which loads modules that the
dependencies bring.
"""

import hashlib
import shutil
import textwrap
from pathlib import Path
from typing import Final

from deploy.packaging.source import Project
from deploy.packaging.version import PackageVersion

DEPENDS: Final = (
    "kamailio (>= 5.6)",
    "kamailio-python3-modules",
    "kamailio-redis-modules",
    "kamailio-tls-modules",
    "kamailio-websocket-modules",
    "redis-server (>= 5:7)",
    "pdns-server (>= 4.7)",
    "pdns-backend-remote",
    "chrony | time-daemon",
    # netbase: Kamailio looks up the number of the protocol TCP in /etc/protocols.
    "netbase",
    "python3 (>= 3.11)",
    "python3 (<< 3.12)",
    "libpython3.11",
    "systemd (>= 252)",
    # The binary modules of the Python packages are linked with these.
    "libc6 (>= 2.36)",
    "libgcc-s1",
    "zlib1g",
)
_SUGGESTS: Final = ("bind9-dnsutils", "rtpengine-daemon", "sngrep")
_MAINTAINER: Final = "sipfarm maintainers <maintainers@sipfarm.invalid>"
_DESCRIPTION: Final = (
    "Every node of a farm is the same: Kamailio with a Python routing script, Redis as its cache, "
    "PowerDNS for the farm's name, and an overlay daemon. The daemons share registrations and "
    "billing records among themselves; there is neither a load balancer in front nor a database "
    "behind.",
    "Installing this package starts nothing, and upgrading it restarts nothing: a node is started "
    "with sipfarm.target once it has joined a farm. Debian's own kamailio, redis-server and pdns "
    "services are masked if they were not there before, as a node runs its own.",
    "The package also holds the farm's certificate authority, which runs on the operator's machine "
    "(sipfarm-authority.service).",
)
_SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")


def write(
    package: Path, tree: Path, project: Project, version: PackageVersion, architecture: str
) -> None:
    """Write the DEBIAN folder of `package`. All its other files must be there already."""
    size_kib = sum(_kib(path) for path in package.rglob("*"))
    control = package / "DEBIAN"
    control.mkdir()
    files = sorted(_files(package))
    fields = {
        "Package": "sipfarm",
        "Version": version.debian,
        "Architecture": architecture,
        "Maintainer": _MAINTAINER,
        "Installed-Size": str(size_kib),
        "Depends": ", ".join(DEPENDS),
        "Suggests": ", ".join(_SUGGESTS),
        "Section": "net",
        "Priority": "optional",
        **({"Homepage": project.homepage} if project.homepage else {}),
        "Description": _description(project.description),
    }
    (control / "control").write_text("".join(f"{name}: {text}\n" for name, text in fields.items()))
    (control / "md5sums").write_text("".join(f"{_md5(package / name)}  {name}\n" for name in files))
    settings = [name for name in files if name.startswith("etc/")]
    if settings:
        (control / "conffiles").write_text("".join(f"/{name}\n" for name in settings))
    for name in _SCRIPTS:
        shutil.copyfile(tree / "deploy/packaging/debian" / name, control / name)
        (control / name).chmod(0o755)


def _files(package: Path) -> list[str]:
    """The paths of the regular files that dpkg unpacks."""
    found = (path for path in package.rglob("*") if path.is_file() and not path.is_symlink())
    names = (str(path.relative_to(package)) for path in found)
    return [name for name in names if not name.startswith("DEBIAN/")]


def _kib(path: Path) -> int:
    """The size as dpkg-gencontrol counts it: files in whole KiB, and one KiB for anything else."""
    return -(-path.stat().st_size // 1024) if path.is_file() and not path.is_symlink() else 1


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _description(summary: str) -> str:
    paragraphs = ("\n".join(textwrap.wrap(text, 76)) for text in _DESCRIPTION)
    body = "\n.\n".join(paragraphs)
    # By Debian's policy, the first line of a description begins without an article.
    return f"{summary.removeprefix('A ')}\n{textwrap.indent(body, ' ')}"
