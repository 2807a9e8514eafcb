"""What a host is like, before anything on it is changed.

In: the host it runs on, as root, with Python's standard library alone. Out: one JSON object on
stdout. Counterpart: `judge.py`, which says what is wrong with it.
"""

import glob
import hashlib
import json
import os
import platform
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

DNS_WITHIN_S = 2.0
"""As long as a resolver may take to answer anything at all."""
LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""The state of a listening socket in /proc/net."""
FARM_TOML = Path("/etc/sipfarm/farm.toml")
CA_CERTIFICATES = {
    "node_ca": Path("/etc/sipfarm/ca.pem"),
    "authority_ca": Path("/var/lib/sipfarm-authority/ca/ca.pem"),
}


def output_of(*command: str) -> str:
    """What a command prints; nothing if it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def address_of(hexadecimal: str) -> str:
    """An address as /proc/net writes it: words of 32 bits in the machine's byte order."""
    raw = bytes.fromhex(hexadecimal)
    words = [struct.unpack("=I", raw[at : at + 4])[0] for at in range(0, len(raw), 4)]
    packed = b"".join(struct.pack("!I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def owners() -> dict[str, tuple[str, str]]:
    """The process and the unit of each socket, by inode."""
    found: dict[str, tuple[str, str]] = {}
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
            if not target.startswith("socket:["):
                continue
            process = Path(link).parents[1]
            name = (process / "comm").read_text().strip()
            cgroup = (process / "cgroup").read_text().strip().splitlines()[-1]
        except OSError:
            continue
        units = [part for part in cgroup.split("/") if part.endswith((".service", ".socket"))]
        found[target[8:-1]] = (name, units[-1] if units else "")
    return found


def listening() -> list[dict[str, object]]:
    """Every port that is taken, and by whom."""
    holders = owners()
    found: list[dict[str, object]] = []
    for table, state in LISTENING.items():
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] != state:
                continue
            address, _, port = fields[1].partition(":")
            process, unit = holders.get(fields[9], ("", ""))
            found.append(
                {
                    "protocol": table[:3],
                    "address": address_of(address),
                    "port": int(port, 16),
                    "process": process,
                    "unit": unit,
                }
            )
    return found


def answers(server: str) -> bool:
    """Whether a resolver says anything to a question for the root's name servers."""
    question = struct.pack("!6H", 0x5F5F, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack("!2H", 2, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(DNS_WITHIN_S)
            asking.connect((server, 53))
            asking.send(question)
            return bool(asking.recv(4096))
    except OSError:
        return False


def resolvers() -> dict[str, bool]:
    """The resolvers of /etc/resolv.conf, and whether each answers."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return {}
    fields = [line.split() for line in lines]
    servers = [each[1] for each in fields if len(each) > 1 and each[0] == "nameserver"]
    return {server: answers(server.partition("%")[0]) for server in servers}


def own_name() -> dict[str, object]:
    """The host's name, and what it resolves to."""
    name = socket.gethostname()
    began_s = time.monotonic()
    try:
        addresses = sorted({str(each[4][0]) for each in socket.getaddrinfo(name, None)})
    except OSError:
        addresses = []
    return {"name": name, "addresses": addresses, "seconds": time.monotonic() - began_s}


def certificate_sha256(path: Path) -> str:
    """The fingerprint of a certificate; empty if there is none."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()
    except (OSError, ValueError):
        return ""


def farm() -> dict[str, object]:
    """Of which farm this host is a node already, by its farm.toml."""
    try:
        # Not there before Python 3.11, which is told by the version.
        import tomllib

        data = tomllib.loads(FARM_TOML.read_text())
    except (OSError, ImportError, ValueError):
        return {}
    node = data.get("node", {})
    return {
        "farm": data.get("farm", {}).get("name", ""),
        "node": node.get("name", ""),
        "address": node.get("address", ""),
    }


def package_version() -> str:
    """Of sipfarm, if it is installed as a whole."""
    text = output_of("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "sipfarm")
    status, _, version = text.partition(" ")
    return version if status == "installed" else ""


def memory_mib() -> int:
    """The machine's."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def look() -> dict[str, object]:
    """All of it."""
    release = platform.freedesktop_os_release() if sys.version_info >= (3, 10) else {}
    return {
        "python": platform.python_version(),
        "os": release.get("ID", ""),
        "os_version": release.get("VERSION_ID", ""),
        "os_codename": release.get("VERSION_CODENAME", ""),
        "architecture": output_of("dpkg", "--print-architecture"),
        "systemd": Path("/run/systemd/system").is_dir(),
        "python_apt": bool(glob.glob("/usr/lib/python3/dist-packages/apt_pkg*.so")),
        "resolvers": resolvers(),
        "own_name": own_name(),
        "listening": listening(),
        "open_files": int(Path("/proc/sys/fs/nr_open").read_text()),
        "disk_free_mib": shutil.disk_usage("/var/lib").free >> 20,
        "memory_mib": memory_mib(),
        "unfinished": output_of("dpkg", "--audit"),
        "package_version": package_version(),
        "in_service": output_of("systemctl", "is-active", "sipfarm-overlay.service") == "active",
        "addresses": own_addresses(),
        "farm": farm(),
        **{name: certificate_sha256(path) for name, path in CA_CERTIFICATES.items()},
    }


def own_addresses() -> list[str]:
    """The addresses of the host's interfaces."""
    try:
        interfaces = json.loads(output_of("ip", "-json", "address") or "[]")
    except ValueError:
        return []
    return [each["local"] for one in interfaces for each in one.get("addr_info", [])]


if __name__ == "__main__":
    print(json.dumps(look()))
