"""What the demo starts ends with it, whatever signals come and however often."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers

from driftline.cli.demo.children import Children

# A server that no SIGTERM ends, with a worker in a group of its own that no SIGTERM ends either.
STUBBORN = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
worker = subprocess.Popen([sys.executable, "-c", code], process_group=0, stdout=subprocess.PIPE)
worker.stdout.readline()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DEMO = """
import os, sys
from pathlib import Path
from driftline.cli.demo.children import Children
folder, port = Path(sys.argv[1]), sys.argv[2]
with Children(folder, dict(os.environ), grace_seconds=1) as children:
    children.start("stubborn", [sys.executable, str(folder / "stubborn.py"), port], f"http://127.0.0.1:{port}/")
    print("up", flush=True)
    if "run" in sys.argv:
        children.run("long", [sys.executable, "-c", "import time; time.sleep(600)"])
    children.stay()
"""


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A block of children that is up; its folder is in the environment of everything that it starts."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    command = [sys.executable, "-c", DEMO, str(tmp_path), str(servers.free_port()), *getattr(request, "param", [])]
    environment = {**os.environ, "BELONGS_TO": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"stubborn" in process.stdout.readline()
        assert process.stdout.readline() == b"up\n"
        assert len(belonging_to(tmp_path)) >= 3
        yield process


def belonging_to(folder: Path) -> list[int]:
    """Return the processes that have the folder in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"BELONGS_TO={folder}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_come_again_do_not_keep_the_stop_from_its_end(
    demo: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    def again() -> bool:
        demo.send_signal(number)
        return demo.poll() is not None

    servers.wait_until(again, seconds=60, what="the block has not ended")
    assert belonging_to(tmp_path) == []
    assert demo.stderr is not None
    assert b"KeyboardInterrupt" in demo.stderr.read().splitlines()[-1]


@pytest.mark.parametrize("demo", [["run"]], indirect=True)
def test_a_command_that_runs_is_ended_too(demo: subprocess.Popen[bytes], tmp_path: Path) -> None:
    servers.wait_until(lambda: len(belonging_to(tmp_path)) == 4, what="the command does not run")
    demo.send_signal(signal.SIGINT)
    demo.wait(60)
    assert belonging_to(tmp_path) == []


def test_what_a_command_printed_is_shown_indented_but_for_its_empty_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    printed = Children(tmp_path, dict(os.environ)).run("say", [sys.executable, "-c", r"print('a\n\nb')"], show=True)
    assert printed == "a\n\nb\n"
    assert capsys.readouterr().out.endswith("\n    a\n\n    b\n")
