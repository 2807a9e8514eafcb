"""A Prometheus that knows two nodes finds all others, and sees which of them died."""

import json
import re
import time
from pathlib import Path
from typing import Final

from deploy.docs.__main__ import ROOT
from deploy.lab import Lab
from tests.farm.asking import eventually, sipfarm, states
from tests.monitoring.prometheus import Prometheus

INTERVAL_S: Final = 1
"""Of looking for nodes, and of asking them; documented are 30 s and 15 s."""
LEEWAY_S: Final = 8.0
"""The farm, Prometheus and the test share two cores."""
_ADDRESSES: Final = {"10.99.0.11": "n1", "10.99.0.12": "n2"}


def documented(lab: Lab) -> str:
    """The configuration that docs/operate.md shows, for this lab, with short intervals."""
    text = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(scrape_configs:\n.*?)```", text, re.DOTALL)
    assert found is not None
    config, changed = re.subn(r"_interval: \d+s", f"_interval: {INTERVAL_S}s", found[1])
    assert changed == 3
    for address, name in _ADDRESSES.items():
        assert address in config
        config = config.replace(address, lab.node(name).address)
    return config


def up(prometheus: Prometheus) -> dict[str, float]:
    """Whether each node was reached when it was last asked."""
    found = prometheus.query("up")
    assert len(found) == len({labels["node"] for labels, _ in found}), found
    return {labels["node"]: value for labels, value in found}


def test_nodes_that_join_and_die_are_noticed(no_lab: None, tmp_path: Path) -> None:
    lab = Lab.up(2, settings={"node.zone": "east"})
    with Prometheus(tmp_path, documented(lab)) as prometheus:
        eventually(lambda: up(prometheus) == {"n1": 1, "n2": 1}, "both nodes are scraped")
        (labels,) = (each for each, _ in prometheus.query('up{node="n2"}'))
        assert labels == {
            "__name__": "up",
            "job": "sipfarm",
            "instance": f"{lab.node('n2').address}:9464",
            "farm": lab.farm,
            "node": "n2",
            "zone": "east",
        }

        lab.join("n3")
        began_s = time.monotonic()
        eventually(lambda: up(prometheus).get("n3") == 1, "n3 is scraped")
        joined_s = time.monotonic() - began_s

        lab.kill("n3")
        began_s = time.monotonic()
        eventually(lambda: up(prometheus).get("n3") == 0, "n3 is down")
        died_s = time.monotonic() - began_s
        print(f"scraped {joined_s:.1f} s after it joined, down {died_s:.1f} s after it died")
        assert joined_s < 2 * INTERVAL_S + LEEWAY_S
        assert died_s < 2 * INTERVAL_S + LEEWAY_S

        # Nobody forgets it, whoever is restarted.
        eventually(lambda: states(lab, "n1")["n3"] == "dead", "n1 knows that n3 is dead")
        known = {"n1": "alive", "n2": "alive", "n3": "dead"}
        eventually(lambda: told(prometheus) == known, "Prometheus is told that n3 is dead")
        for name in ("n1", "n2"):
            lab.stop(name, "overlay")
            lab.start(name, "overlay")
            lab.wait_ready()
        asked_s = time.time()
        eventually(lambda: up_since(prometheus, asked_s), "all were asked again")
        assert up(prometheus) == {"n1": 1, "n2": 1, "n3": 0}
        eventually(lambda: told(prometheus) == known, "it is told the same after the restarts")
        assert prometheus.query('count(count_over_time(up{node="n3"}[10m]))') == [({}, 1)]

        # One that is revoked is asked no more, and one that drains still is.
        revoke(lab, "n3")
        eventually(lambda: set(up(prometheus)) == {"n1", "n2"}, "n3 is no target any more")
        sipfarm("node", "drain", "--force", "--wait", "0", "--config", str(lab.node("n2").config))
        eventually(lambda: told(prometheus) == {"n1": "alive", "n2": "draining"}, "n2 drains")
        assert up(prometheus) == {"n1": 1, "n2": 1}

        names = prometheus.ask("labels")
        assert [name for name in names if name.startswith("exported_")] == []
        versions = prometheus.query("sipfarm_info")
        assert {labels["node_name"]: labels["node"] for labels, _ in versions}["n1"] == "n1"


def revoke(lab: Lab, name: str) -> None:
    """Shut a node out for good."""
    authority = lab.host_directory("n1").parent / "ca"
    revoked = sipfarm("ca", "revoke", "--ca", str(authority), name, "--json")
    assert revoked.returncode == 0, revoked.stderr
    listed = json.loads(revoked.stdout)["list"]
    config = str(lab.node("n1").config)
    done = sipfarm("node", "revoke", "--list", listed, "--config", config)
    assert done.returncode == 0, done.stderr


def told(prometheus: Prometheus) -> dict[str, str]:
    """How each node is, as the nodes tell that are asked."""
    targets = prometheus.ask("targets", state="active")["activeTargets"]
    found = (each["discoveredLabels"] for each in targets)
    return {each["node"]: each["__meta_sipfarm_state"] for each in found}


def up_since(prometheus: Prometheus, since_s: float) -> bool:
    """Whether every target was asked since then."""
    found = prometheus.query("min(timestamp(up))")
    return bool(found) and found[0][1] > since_s + INTERVAL_S
