"""What is wrong with an inventory, or with hosts, and what to do about it.

In: on stdin, a line with what is to be judged, and JSON: the inventory's variables, or what
`probe.py` found on each host, and when. Out: JSON on stdout: problems, a line each that begins with
the host's name; nothing may be changed while there is one. Runs on the machine that runs Ansible,
with the standard library alone. Counterpart: the tasks of this role.
"""

import ipaddress
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
PACKAGE = re.compile(r"sipfarm_(?P<version>[^_]+)_(?P<architecture>[a-z0-9]+)\.deb")
DEB_MAGIC = b"!<arch>\n"
PORTS = {"overlay": 7460, "metrics": 9464, "dns": 53, "proxy": 5060}
"""What farm.toml has where the inventory says nothing."""
METRICS_ADDRESS = "127.0.0.1"
"""The same."""
ANY_ADDRESS = ("0.0.0.0", "::")
OUR_UNIT = re.compile(r"sipfarm-[a-z]+\.service")
DEBIANS = {
    "kamailio.service": "kamailio",
    "redis-server.service": "redis-server",
    "pdns.service": "pdns",
}
DIFFERS_S = 2.0
"""What clocks may differ by: billing records of two nodes are to be in order."""

Host = Mapping[str, Any]


def inventory(given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the inventory, before any host is asked."""
    found = [*_farm(given), *_groups(given), *_package(given)]
    nodes: Mapping[str, Host] = given["nodes"]
    for host, node in nodes.items():
        found += _node(host, node)
    for setting in ("name", "address"):
        found += _twice(setting, nodes)
    for host, address in given["authority"].items():
        if problem := _address(address):
            found.append(f"{host}: {problem}: give the host an ansible_host or authority_address")
    zones = {str(node.get("zone", "")) for node in nodes.values()}
    if "" in zones and len(zones) > 1:
        without = [host for host, node in nodes.items() if not node.get("zone")]
        found.append(f"{', '.join(without)}: no node_zone, and others have one: give all, or none")
    return found


def hosts(given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the hosts."""
    found = []
    all_hosts: Mapping[str, Host] = given["hosts"]
    for name, host in all_hosts.items():
        probe = host["probe"]
        problems = [
            *_system(probe),
            *_clock(host["clock"]),
            *_names(probe),
            *_room(probe, given["limits"]),
            *_unfinished(probe),
            *_ports(host),
            *_belongs(host, given),
            *_version(host, given),
        ]
        found += [f"{name}: {problem}" for problem in problems]
    return found + _apart(all_hosts)


def _farm(given: Mapping[str, Any]) -> list[str]:
    name = str(given["farm_name"])
    labels = name.split(".")
    if len(labels) < 2 or not all(LABEL.fullmatch(label) for label in labels):
        return [
            f"farm_name: {name!r} is not a lower-case domain name: "
            "set it for all hosts, as farm_name: sip.example.net"
        ]
    return []


def _groups(given: Mapping[str, Any]) -> list[str]:
    found = []
    if not given["nodes"]:
        found.append("the inventory has no host in the group sipfarm_nodes: put the nodes there")
    if len(given["authority"]) != 1:
        found.append(
            f"the inventory has {len(given['authority'])} hosts in the group sipfarm_authority: "
            "put the operator's host there, which may be one of the nodes"
        )
    return found


def _node(host: str, node: Host) -> list[str]:
    found = []
    if not LABEL.fullmatch(str(node["name"])):
        found.append(
            f"{host}: node_name {node['name']!r} is not a lower-case DNS label: "
            "rename the host in the inventory, or set its node_name"
        )
    if problem := _address(str(node["address"])):
        found.append(f"{host}: {problem}: give the host an ansible_host or node_address")
    if node.get("zone") and not LABEL.fullmatch(str(node["zone"])):
        found.append(f"{host}: node_zone {node['zone']!r} is not like a lower-case DNS label")
    return found


def _address(text: str) -> str:
    if not text:
        return "the inventory has no address"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is not an IP address"
    if address.is_unspecified or address.is_loopback:
        return f"{text} cannot be reached by others"
    return ""


def _twice(setting: str, nodes: Mapping[str, Host]) -> list[str]:
    by_value: dict[str, list[str]] = {}
    for host, node in nodes.items():
        if node[setting]:
            by_value.setdefault(str(node[setting]), []).append(host)
    return [
        f"{' and '.join(names)}: both have the {setting} {value}: each node needs its own"
        for value, names in by_value.items()
        if len(names) > 1
    ]


def _package(given: Mapping[str, Any]) -> list[str]:
    text = given["package"]
    if not text:
        return []
    path = Path(text).expanduser()
    where = f"node_package: {path.absolute()}"
    try:
        with path.open("rb") as file:
            magic = file.read(len(DEB_MAGIC))
    except OSError as error:
        return [f"{where}: {error.strerror}: make it with deploy/package, or name another"]
    named = PACKAGE.fullmatch(path.name)
    if magic != DEB_MAGIC or named is None:
        return [f"{where}: is no package of sipfarm: it must be sipfarm_VERSION_amd64.deb"]
    if named["architecture"] != "amd64":
        return [f"{where}: is for {named['architecture']}, and nodes are amd64"]
    return _fields(path, where, named["version"])


def _fields(path: Path, where: str, version: str) -> list[str]:
    """What the package says of itself, where this machine has Debian's tool for it."""
    command = ["dpkg-deb", "-f", str(path), "Package", "Version", "Architecture"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return []
    if done.returncode:
        return [f"{where}: is broken: {done.stderr.strip()}: make it anew"]
    fields = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    expected = {"Package": "sipfarm", "Version": version, "Architecture": "amd64"}
    if fields != expected:
        return [f"{where}: contains {fields}, which its name does not say: make it anew"]
    return []


def _system(probe: Host) -> list[str]:
    found = []
    system = f"{probe['os']} {probe['os_version'] or probe['os_codename']}"
    if system != "debian 12":
        yet = "not yet" if probe["os"] == "debian" else "not"
        found.append(f"runs {system}: {yet} supported: install Debian 12")
    if probe["architecture"] != "amd64":
        found.append(f"is {probe['architecture'] or 'unknown'}: the package is for amd64")
    if not str(probe["python"]).startswith("3.11."):
        found.append(
            f"its /usr/bin/python3 is {probe['python']}, and Debian 12's 3.11 is needed: "
            "apt-get install python3"
        )
    if not probe["systemd"]:
        found.append("systemd does not run: boot it with systemd as its first process")
    if not probe["python_apt"]:
        found.append("Python cannot use apt: apt-get install python3-apt")
    return found


def _clock(clock: Mapping[str, float]) -> list[str]:
    ahead_s, behind_s = clock["host"] - clock["after"], clock["before"] - clock["host"]
    off_s = max(ahead_s, behind_s)
    if off_s <= DIFFERS_S:
        return []
    way = "ahead of" if ahead_s > 0 else "behind"
    return [
        f"its clock is {off_s:.0f} s {way} the one of the machine that runs Ansible: "
        "find out which is wrong (chronyc tracking) and set it"
    ]


def _apart(all_hosts: Mapping[str, Host]) -> list[str]:
    """Hosts that are each near the clock here, and too far from one another."""
    within = {
        name: (host["clock"]["host"] - host["clock"]["after"],
               host["clock"]["host"] - host["clock"]["before"])
        for name, host in all_hosts.items()
        if not _clock(host["clock"])
    }  # fmt: skip
    if not within:
        return []
    first = min(within, key=lambda name: within[name][1])
    last = max(within, key=lambda name: within[name][0])
    apart_s = within[last][0] - within[first][1]
    if apart_s <= DIFFERS_S:
        return []
    return [
        f"{last} and {first}: their clocks differ by {apart_s:.1f} s: "
        "have a time daemon set both (chronyc tracking)"
    ]


def _names(probe: Host) -> list[str]:
    found = [
        f"its resolver {server} does not answer, which costs 10 s a question: "
        "mend it, or take it out of /etc/resolv.conf (an empty one is fine)"
        for server, answered in probe["resolvers"].items()
        if not answered
    ]
    own = probe["own_name"]
    if not own["addresses"]:
        found.append(
            f"its own name {own['name']} does not resolve: "
            f"put '127.0.1.1 {own['name']}' into /etc/hosts"
        )
    return found


def _room(probe: Host, limits: Mapping[str, int]) -> list[str]:
    found = []
    if probe["open_files"] < limits["open_files"]:
        found.append(
            f"a process may open {probe['open_files']} files, {limits['open_files']} are needed: "
            f"sysctl fs.nr_open={limits['open_files']}"
        )
    if probe["disk_free_mib"] < limits["disk_free_mib"]:
        found.append(
            f"/var/lib has {probe['disk_free_mib']} MiB free, {limits['disk_free_mib']} are "
            "needed: make room"
        )
    if probe["memory_mib"] < limits["memory_mib"]:
        found.append(f"has {probe['memory_mib']} MiB of memory, {limits['memory_mib']} are needed")
    return found


def _unfinished(probe: Host) -> list[str]:
    if not probe["unfinished"]:
        return []
    return ["an earlier installation was not finished: run dpkg --configure -a there, then again"]


def _wanted_ports(host: Host) -> Iterator[tuple[str, int, str, set[str]]]:
    """What a host will listen on: protocol, port, for what, on which addresses."""
    everywhere = {host["address"], host["address6"]}
    if host["is_authority"]:
        yield "tcp", int(host["authority_port"]), "enrollment", everywhere
    if not host["is_node"]:
        return
    settings = host["settings"]
    ports = {
        section: int(settings.get(section, {}).get("port", default))
        for section, default in PORTS.items()
    }
    for protocol in ("udp", "tcp"):
        yield protocol, ports["proxy"], "SIP", everywhere
        yield protocol, ports["overlay"], "the links between nodes", everywhere
        if settings.get("dns", {}).get("enabled", True):
            yield protocol, ports["dns"], "DNS", everywhere
    yield "tcp", ports["metrics"], "metrics", {_metrics_address(host)}
    for transport in ("tls_port", "ws_port", "wss_port"):
        if port := int(settings.get("proxy", {}).get(transport, 0)):
            yield "tcp", port, "SIP", everywhere


def _metrics_address(host: Host) -> str:
    """By default only programs on the node itself ask."""
    return str(host["settings"].get("metrics", {}).get("address", METRICS_ADDRESS))


def _ports(host: Host) -> list[str]:
    found: dict[str, None] = {}
    for protocol, number, purpose, addresses in _wanted_ports(host):
        for taken in host["probe"]["listening"]:
            if (taken["protocol"], taken["port"]) != (protocol, number):
                continue
            if taken["address"] not in {*addresses, *ANY_ADDRESS}:
                continue
            if OUR_UNIT.fullmatch(taken["unit"]):
                continue
            unit = taken["unit"] or taken["process"] or "an unknown process"
            if debians := DEBIANS.get(taken["unit"]):
                what = f"systemctl disable --now {debians} (a node brings its own)"
            else:
                what = f"stop {unit}, or give the farm another port in farm_settings"
            port = f"{protocol.upper()} port {number}"
            found[f"{port}, wanted for {purpose}, is taken by {unit}: {what}"] = None
    return list(found)


def _belongs(host: Host, given: Mapping[str, Any]) -> list[str]:
    """A host that is a node already, but not the one that the inventory wants."""
    if not host["is_node"]:
        return []
    probe = host["probe"]
    is_now, found = probe["farm"], []
    wanted = {"farm": given["farm_name"], "node": host["name"], "address": host["address"]}
    for setting, value in wanted.items():
        if is_now and is_now[setting] != value:
            found.append(
                f"is set up with {setting} {is_now[setting]!r}, and the inventory has {value!r}: "
                "mend the inventory, or remove the node first (playbooks/remove_node.yml)"
            )
    ca = given["authority_ca"]
    if probe["node_ca"] and ca and probe["node_ca"] != ca:
        found.append(
            "is a node of another farm's certificate authority than the one on the "
            "operator's host: remove it there first (playbooks/remove_node.yml)"
        )
    if host["address"] not in probe["addresses"]:
        found.append(
            f"has no address {host['address']}, only {', '.join(probe['addresses'])}: "
            "set node_address to the one that phones and nodes reach it at"
        )
    address = _metrics_address(host)
    if address not in (METRICS_ADDRESS, *probe["addresses"]):
        found.append(
            f"has no address {address}, only {', '.join(probe['addresses'])}: "
            "set metrics.address in its node_settings to the one that Prometheus asks it at"
        )
    return found


def _version(host: Host, given: Mapping[str, Any]) -> list[str]:
    probe = host["probe"]
    given_version = given["package_version"]
    if not probe["package_version"] and not given_version:
        return ["sipfarm is not installed, and no package is given: -e node_package=PATH"]
    serves = host["is_node"] and probe["in_service"]
    if given["purpose"] == "upgrade" or not serves or not given_version:
        return []
    if probe["package_version"] != given_version:
        return [
            f"is in service with sipfarm {probe['package_version']}, and the package is "
            f"{given_version}: playbooks/upgrade.yml puts it there without losing a call"
        ]
    return []


def verdict(text: str) -> dict[str, list[str]]:
    """The problems; the first line of `text` is `inventory` or `hosts`, the rest is about it."""
    what, _, about = text.lstrip().partition("\n")
    judge = {"inventory": inventory, "hosts": hosts}[what.strip()]
    return {"problems": judge(json.loads(about))}


if __name__ == "__main__":
    print(json.dumps(verdict(sys.stdin.read())))
