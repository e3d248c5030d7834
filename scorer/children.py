"""The child processes of ``driftline serve`` and the signals of its parent.

Invariants
----------
- A child never outlives the parent: the kernel tells it (``tied_process``), whatever ends the parent.
- A signal reaches a child once: children stand in process groups of their own, so that Ctrl-C in a terminal comes
  through the parent alone.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

_TIED = (sys.executable, "-P", "-m", "driftline.scorer.tied_process")
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def start_tied(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program (``arguments[0]`` is a path) that ends with this process; call from the main thread."""
    return subprocess.Popen([*_TIED, str(os.getpid()), *arguments], env=environment, process_group=0)


def lives(pid: int) -> bool:
    """Return whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Signals:
    """Signals as something to wait for; ``with`` restores what was set before."""

    def __enter__(self) -> "Signals":
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers_before = {number: signal.signal(number, lambda *_: None) for number in _WATCHED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> set[signal.Signals]:
        """Return the signals that came, at the latest after ``seconds`` (then maybe none)."""
        if not select.select([self._reader], [], [], max(0.0, seconds))[0]:
            return set()
        return {signal.Signals(number) for number in self._reader.recv(4096)}
