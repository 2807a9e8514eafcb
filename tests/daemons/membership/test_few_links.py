"""Real daemons over TLS, in a farm with more nodes than each keeps links."""

from pathlib import Path

from overlay.control import operator_messages
from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event
from tests.waiting import until

NAMES = [f"n{number}" for number in range(1, 11)]


def test_records_are_found_by_links_that_open_for_them_and_close(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*NAMES)
        await farm.joined()
        for number, name in enumerate(NAMES):
            await farm.ask(name, start_event(f"call-{number}"))
        for number in range(len(NAMES)):
            for name in NAMES:
                shown = await farm.ask(name, operator_messages.ShowCall(call_id=f"call-{number}"))
                assert len(shown.calls) == 1, f"{name} does not find call-{number}"

        def few() -> bool:
            nodes = farm.nodes.values()
            links = [len(node.membership.linked()) for node in nodes]
            return all(len(n.membership.alive()) == 10 for n in nodes) and min(links) < 9

        await until(few, what="idle links are closed, and everybody is alive")

    play(tmp_path, story, links_kept=4, bucket_size=2, link_idle_ms=400, lease_ms=200)
