"""All processes of a session, which is what a program's descendants share whatever groups they form.

A child that was started with ``start_new_session`` gives the session its number.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_POLL_SECONDS = 0.05


def members(session: int) -> list[int]:
    """Return the processes of a session, those that nobody has waited for yet among them."""
    return [pid for pid in _processes() if _session_of(pid) == session]


def end(session: int, grace_seconds: float) -> None:
    """Wait until a session has no process any more; after ``grace_seconds``, SIGKILL those that are left."""
    until = time.monotonic() + grace_seconds
    while members(session) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    for pid in members(session):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _processes() -> Iterator[int]:
    table = Path("/proc")
    if (table / "self").exists():
        yield from (int(entry.name) for entry in table.iterdir() if entry.name.isdigit())
        return
    listed = subprocess.run(["ps", "-A", "-o", "pid="], stdout=subprocess.PIPE, text=True, check=False).stdout
    yield from map(int, listed.split())


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:  # it has ended, or is none of our business
        return None
