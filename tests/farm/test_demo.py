"""The demo works, as a visitor runs it."""

import os
import signal
import subprocess
from pathlib import Path

from deploy.lab import layout

DEMO = Path(__file__).parents[2] / "deploy" / "demo"


def test_demo_tells_its_story(no_lab: None) -> None:
    done = subprocess.run([str(DEMO)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "START written by n2, STOP by n3" in " ".join(done.stdout.split())
    assert not layout.STATE_DIR.exists()


def test_interrupted_demo_leaves_nothing(no_lab: None) -> None:
    with subprocess.Popen([str(DEMO)], stdout=subprocess.PIPE, process_group=0) as demo:
        assert demo.stdout is not None
        while not demo.stdout.readline().startswith(b" 4."):
            assert demo.poll() is None
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(30) == 130
    assert not layout.STATE_DIR.exists()
    assert not Path("/sys/class/net", layout.BRIDGE).exists()


def test_demo_refuses_what_it_does_not_know() -> None:
    done = subprocess.run([str(DEMO), "--nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr
