"""When a node's Kamailio is away, the farm sends phones to other nodes, and changes no more."""

from pathlib import Path

from overlay.control import operator_messages, proxy_messages
from overlay.daemon.parts import Parts
from overlay.kamailio.watcher import KamailioWatcher
from overlay.records.draining import DrainPhase
from overlay.records.names import RecordKind, key_of
from tests.daemons.farm_of_nodes import Farm, free_port, play
from tests.proxy_requests import register
from tests.unit.kamailio.test_watcher import Kamailio
from tests.waiting import until

NAMES = ("n1", "n2", "n3")
KEY = key_of(RecordKind.REGISTRATION, "alice@farm.test")


def named(farm: Farm, name: str) -> set[str]:
    """The nodes that phones are told of by one of them."""
    return {
        each.name for each in farm.nodes[name].dns.zone.view().nodes if each.serving and each.live
    }


def test_phones_go_elsewhere_and_records_stay(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        port = free_port()
        farm.parts = Parts(kamailio=KamailioWatcher)
        farm.sections["proxy"] = {"port": port}
        kamailios = [Kamailio(f"127.0.7.{number}", port) for number in (1, 2, 3)]
        # That of n3 comes up after its daemon.
        for each in kamailios[:2]:
            await each.start()
        await farm.start(*NAMES)
        await farm.joined()
        await until(lambda: all(named(farm, name) == {"n1", "n2"} for name in NAMES))
        await kamailios[2].start()
        await until(lambda: all(named(farm, name) == set(NAMES) for name in NAMES))
        await farm.ask("n2", register("alice@farm.test", "sip:alice@192.0.2.1"))

        nodes = farm.nodes.values()
        placed = [(node.records.placement.epoch, node.records.placement.of(KEY)) for node in nodes]
        serial = farm.nodes["n2"].dns.zone.view().serial
        kamailios[0].stop()
        await until(lambda: all(named(farm, name) == {"n2", "n3"} for name in NAMES))
        assert [
            (node.records.placement.epoch, node.records.placement.of(KEY)) for node in nodes
        ] == placed
        assert all(node.records.drain.phase is DrainPhase.SERVING for node in nodes)
        assert farm.nodes["n2"].dns.zone.view().serial > serial, "resolvers look at it again"

        status = await farm.ask("n2", operator_messages.GetStatus())
        said = {each.name: (each.ready, each.proxy, each.unready) for each in status.nodes}
        reason = "Kamailio: no answer to OPTIONS: connection refused"
        assert said == {
            "n1": (False, "away", (reason,)),
            "n2": (True, "ok", ()),
            "n3": (True, "ok", ()),
        }
        assert (await farm.nodes["n1"].control.readiness.check()) == (reason,)
        # It serves its peers as ever.
        located = await farm.ask("n1", proxy_messages.Locate(aor="alice@farm.test"))
        assert [each.uri for each in located.targets] == ["sip:alice@192.0.2.1"]
        for each in kamailios[1:]:
            each.stop()

    play(tmp_path, story)


def test_one_that_restarts_beside_its_kamailio_is_named_from_the_start(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        port = free_port()
        farm.parts = Parts(kamailio=KamailioWatcher)
        farm.sections["proxy"] = {"port": port}
        kamailios = [Kamailio(f"127.0.7.{number}", port) for number in (1, 2)]
        for each in kamailios:
            await each.start()
        await farm.start("n1", "n2")
        await farm.joined()
        await farm.stop("n2")
        await farm.start("n2")
        assert farm.nodes["n2"].own.proxy_away is False
        await until(lambda: all(named(farm, name) == {"n1", "n2"} for name in ("n1", "n2")))
        for each in kamailios:
            each.stop()

    play(tmp_path, story)
