"""A node that knows no address of the farm finds it: by the farm's DNS name, or on its network."""

import tomllib
from pathlib import Path

from deploy.lab import Lab
from deploy.lab.services import OVERLAY
from overlay.config import config as configuration
from tests.farm.asking import eventually, states


def reconfigure(lab: Lab, name: str, **overlay: object) -> None:
    """Other values in the `[overlay]` section of a node's farm.toml."""
    path = lab.node(name).config
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    data["overlay"].update(overlay)
    path.write_text(configuration.dump(configuration.parse(data, str(path))), encoding="utf-8")


def forget_the_farm(lab: Lab, name: str) -> None:
    """Stop the node's daemon, and remove what it wrote down of its peers."""
    lab.stop(name, OVERLAY)
    for file in lab.node(name).data.glob("records.db*"):
        file.unlink()


def all_see(lab: Lab, name: str) -> bool:
    """Whether every node takes this one for alive, and it them."""
    others = [node.name for node in lab.nodes if node.name != name]
    return all(states(lab, other).get(name) == "alive" for other in others) and all(
        states(lab, name).get(other) == "alive" for other in others
    )


def test_by_the_farms_name_though_all_addresses_are_old(no_lab: None) -> None:
    lab = Lab.up(3, which=("overlay", "pdns", "redis"))
    forget_the_farm(lab, "n3")
    reconfigure(lab, "n3", bootstrap=["10.77.0.250:7460", "10.77.0.251"])
    resolver = Path("/etc/netns/n3/resolv.conf")
    address = lab.node("n1").address
    resolver.write_text(f"nameserver {address}\n{resolver.read_text().partition(chr(10))[2]}")
    lab.start("n3", OVERLAY)
    eventually(lambda: all_see(lab, "n3"), "n3 has found the farm")


def test_on_the_local_network(no_lab: None) -> None:
    lab = Lab.up(3, which=("overlay", "redis"))
    for name in ("n1", "n2", "n3"):
        forget_the_farm(lab, name)
        reconfigure(lab, name, bootstrap=[], mdns=True)
    for name in ("n1", "n2", "n3"):
        lab.start(name, OVERLAY)
    eventually(lambda: all_see(lab, "n3") and all_see(lab, "n1"), "they have found one another")
