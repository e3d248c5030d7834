import os
import signal
import subprocess
import sys
import time

from driftline.cli.demo import session

# A parent that ends at once, and leaves a process in a group of its own that no SIGTERM ends.
PARENT = """
import signal, subprocess, sys
code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], process_group=0, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
"""


def test_a_process_in_a_group_of_its_own_is_found_and_ended_after_the_one_that_started_it() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    parent.wait(60)
    os.kill(orphan, signal.SIGTERM)
    assert orphan in session.members(parent.pid)
    session.end(parent.pid, grace_seconds=0.1)
    deadline = time.monotonic() + 30
    while _runs(orphan) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(orphan)
    parent.stdout.close()


def _runs(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")
