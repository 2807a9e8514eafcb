"""Which nodes a Prometheus must ask, and for how long dead ones are among them."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from overlay.config import config as configuration
from overlay.config.config import Config
from overlay.links.member_claims import State
from overlay.membership import scrape_targets
from overlay.membership.member import Member
from overlay.membership.scrape_targets import KEPT_S, ScrapeTargets, told_by
from overlay.records.node_info import NodeInfo, Traits

NOW_S = 1_700_000_000.0


def node(name: str, *, number: int = 0, **traits: object) -> NodeInfo:
    """A node that says of itself where it is to be asked."""
    last = number or int(name[1:])
    said = {"software": "0.3.0", "metrics": f"10.0.0.{last}:9464", "zone": "east", **traits}
    return NodeInfo(
        node_id=bytes([last]) * 20,
        name=name,
        host=f"192.0.2.{last}",
        port=7460,
        traits=msgspec.structs.replace(Traits(), **said),
    )


def member(info: NodeInfo, state: State = State.ALIVE, incarnation: int = 1) -> Member:
    """Somebody whom the node knows."""
    return Member(info=info, state=state, since_s=0.0, number=0, claim=(incarnation, state))


def config(directory: Path, address: str = "10.0.0.1") -> Config:
    return configuration.parse(
        {
            "farm": {"name": "farm.test"},
            "node": {"name": "n1", "address": "192.0.2.1", "data_dir": str(directory)},
            "metrics": {"address": address},
        },
        "test",
    )


@dataclass(kw_only=True)
class Scene:
    """What n1 tells."""

    directory: Path
    members: list[Member] = field(default_factory=list)
    revoked: frozenset[bytes] = frozenset()
    now_s: float = NOW_S
    own: NodeInfo = field(default_factory=lambda: node("n1"))
    address: str = "10.0.0.1"

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """n1 forgets all but its file."""
        self.targets = ScrapeTargets(
            config(self.directory, self.address),
            lambda: self.own,
            lambda: self.members,
            lambda: self.revoked,
            lambda: self.now_s,
            lambda member: member.since_s,
        )

    def told(self) -> dict[str, tuple[str, str]]:
        """Where each node is to be asked, and how it is."""
        return {
            each["labels"]["node"]: (*each["targets"], each["labels"]["__meta_sipfarm_state"])
            for each in asyncio.run(self.targets.asked())
        }


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(directory=tmp_path)


def test_a_node_alone_tells_of_itself(scene: Scene) -> None:
    assert asyncio.run(scene.targets.asked()) == [
        {
            "targets": ["10.0.0.1:9464"],
            "labels": {
                "farm": "farm.test",
                "node": "n1",
                "zone": "east",
                "__meta_sipfarm_state": "alive",
                "__meta_sipfarm_version": "0.3.0",
            },
        }
    ]


def test_all_members_are_told_of_and_how_they_are(scene: Scene) -> None:
    scene.own = node("n1", draining=True)
    scene.members = [
        member(node("n2")),
        member(node("n3"), State.SUSPECT),
        member(node("n4"), State.DEAD),
        member(node("n5", draining=True)),
        member(node("n6"), State.LEFT),
        member(node("n7", metrics="[2001:db8::7]:9464")),
    ]
    assert scene.told() == {
        "n1": ("10.0.0.1:9464", "draining"),
        "n2": ("10.0.0.2:9464", "alive"),
        "n3": ("10.0.0.3:9464", "alive"),
        "n4": ("10.0.0.4:9464", "dead"),
        "n5": ("10.0.0.5:9464", "draining"),
        "n7": ("[2001:db8::7]:9464", "alive"),
    }


def test_a_node_that_only_its_own_host_can_ask_is_no_target_of_others(scene: Scene) -> None:
    scene.members = [member(node("n2", metrics=""))]
    assert set(scene.told()) == {"n1"}
    assert told_by(config(scene.directory, "127.0.0.1")) == ""
    assert told_by(config(scene.directory, "::1")) == ""
    assert told_by(config(scene.directory, "2001:db8::1")) == "[2001:db8::1]:9464"


def test_an_older_version_answers_at_its_own_address(scene: Scene) -> None:
    scene.members = [member(node("n2", software="", metrics=""))]
    assert scene.told()["n2"] == ("192.0.2.2:9464", "alive")


def test_who_was_only_heard_of_is_no_target(scene: Scene) -> None:
    scene.members = [member(node("n2"), State.DEAD, incarnation=0)]
    assert set(scene.told()) == {"n1"}


def test_a_dead_node_keeps_its_labels_over_a_restart_and_goes_after_a_week(scene: Scene) -> None:
    scene.members = [member(node("n2"))]
    scene.told()
    scene.now_s += 600
    scene.members = []
    scene.restart()
    assert scene.told() == {
        "n1": ("10.0.0.1:9464", "alive"),
        "n2": ("10.0.0.2:9464", "dead"),
    }
    (labels,) = (
        each["labels"]
        for each in asyncio.run(scene.targets.asked())
        if each["labels"]["node"] == "n2"
    )
    assert (labels["zone"], labels["__meta_sipfarm_version"]) == ("east", "0.3.0")
    scene.now_s = NOW_S + KEPT_S
    assert "n2" in scene.told()
    scene.now_s += 1
    assert "n2" not in scene.told()


def test_a_node_that_died_before_anybody_asked_goes_a_week_after_its_death(scene: Scene) -> None:
    dead = member(node("n2"), State.DEAD)
    scene.members = [dead]
    dead.since_s = KEPT_S
    assert scene.told()["n2"][1] == "dead"
    scene.restart()
    dead.since_s = KEPT_S + 1
    scene.now_s += 1
    assert "n2" not in scene.told()
    assert "n2" not in scene.told(), "and does not come back"


def test_a_node_that_left_or_was_revoked_is_no_target_any_more(scene: Scene) -> None:
    scene.members = [member(node("n2")), member(node("n3"))]
    assert set(scene.told()) == {"n1", "n2", "n3"}
    scene.members = [member(node("n2"), State.LEFT), member(node("n3"), State.DEAD)]
    scene.revoked = frozenset({node("n3").node_id})
    assert set(scene.told()) == {"n1"}
    scene.members = []
    scene.restart()
    assert set(scene.told()) == {"n1"}


def test_whoever_takes_a_name_or_an_address_takes_the_place(scene: Scene) -> None:
    scene.members = [member(node("n2")), member(node("n3"))]
    scene.told()
    dead = [member(node("n2"), State.DEAD), member(node("n3"), State.DEAD)]
    scene.members = [
        *dead,
        member(node("n2", number=9)),
        member(node("n8", metrics="10.0.0.3:9464")),
    ]
    assert scene.told() == {
        "n1": ("10.0.0.1:9464", "alive"),
        "n2": ("10.0.0.9:9464", "alive"),
        "n8": ("10.0.0.3:9464", "alive"),
    }


def test_a_broken_file_is_as_good_as_none(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.members = [member(node("n2"))]
    scene.told()
    (scene.directory / "scrape-targets.json").write_bytes(b"\xff{")
    scene.members = []
    scene.restart()
    assert set(scene.told()) == {"n1"}
    assert "scrape-targets.json" in caplog.text


def test_the_file_is_written_when_something_changed_or_an_hour_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    monkeypatch.setattr(scrape_targets, "_write", lambda path, targets: written.append(scene.now_s))
    for now_s in (0.0, 60.0, 3_540.0, 3_601.0, 3_660.0):
        scene.now_s = NOW_S + now_s
        scene.told()
    scene.members = [member(node("n2"))]
    scene.told()
    assert [each - NOW_S for each in written] == [0.0, 3_601.0, 3_660.0]
