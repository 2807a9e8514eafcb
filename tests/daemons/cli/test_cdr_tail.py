"""`sipfarm cdr tail`: the real command, and a farm whose daemon ends and starts again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.daemons.farm_of_nodes import Farm, play
from tests.proxy_requests import start_event, stop_event
from tests.waiting import until

NAMES = ("n1", "n2", "n3")


def test_it_follows_over_a_restart_of_its_node(tmp_path: Path) -> None:
    async def story(farm: Farm) -> None:
        await farm.start(*NAMES)
        await farm.joined()
        out = tmp_path / "told"
        path = farm.nodes["n1"].config.control_socket
        command = [sys.executable, "-m", "overlay.cli.main", "cdr", "tail", "--json"]
        with out.open("wb") as stream:
            # It ends with the test, and nobody waits for it before.
            tail = subprocess.Popen(  # noqa: ASYNC220
                [*command, "--since", "1m", "--socket", str(path)],
                stdout=stream,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

        def told() -> list[tuple[str, str]]:
            whole, _, _ = out.read_text().rpartition("\n")
            lines = [json.loads(line) for line in whole.splitlines()]
            return [(line["call_id"], line["state"]) for line in lines]

        try:
            await farm.ask("n2", start_event("one"))
            await until(lambda: told() == [("one", "open")], 30, "the beginning is told")
            await farm.stop("n1")
            await farm.ask("n2", stop_event("one"))
            await farm.ask("n3", start_event("two"))
            await farm.start("n1")
            both = [("one", "open"), ("one", "complete"), ("two", "open")]
            await until(lambda: told() == both, 30, "what happened meanwhile is told")
        finally:
            tail.kill()
            tail.wait()

    play(tmp_path, story)
