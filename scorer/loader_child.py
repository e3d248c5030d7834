"""The loader's process: started, started again when it dies, asked to drain at the end.

Invariants
----------
- A loader that dies never stops scoring; it is started again, later and later while it keeps dying.
- A clean stop gives it ``drain_seconds``; what is left then stays in the spool for the next start.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Mapping

from driftline.scorer.children import start_tied
from driftline.store.loader.meter import LoaderMeter

_PROGRAM = (sys.executable, "-P", "-m", "driftline.store.loader.process")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_STEADY_SECONDS = 60.0  # a loader that lived this long died of something new
_GRACE_SECONDS = 5.0

_log = logging.getLogger("driftline.scorer")


class LoaderChild:
    """One loader at a time; ``tend`` is called now and then from the parent's loop.

    Attributes:
        starts: how often one was started.
        meter: what all of them counted.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.starts = 0
        self.meter = LoaderMeter.create()
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = self._start_at = 0.0
        self._pause = _FIRST_PAUSE_SECONDS

    def tend(self) -> float:
        """Start the loader where none runs and it is time; return the seconds until the next look."""
        now = time.monotonic()
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            if now - self._started_at > _STEADY_SECONDS:
                self._pause = _FIRST_PAUSE_SECONDS
            self._start_at = now + self._pause
            _log.warning(
                "the loader ended with code %s: starting it again in %.0f s; scoring goes on", code, self._pause
            )
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        if self._process is None and now >= self._start_at:
            self._process = start_tied((*_PROGRAM, str(self.meter.path)), self._environment)
            self._started_at = now
            self.starts += 1
        return max(0.0, self._start_at - now) if self._process is None else _LONGEST_PAUSE_SECONDS

    @property
    def is_up(self) -> bool:
        """Whether one runs, as far as was seen when it was last tended."""
        return self._process is not None

    def drain(self, seconds: float) -> None:
        """Ask the loader to load what the spool holds and to end; after ``seconds`` and a grace, end it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning(
                "the loader did not end within %.0f s: the spool keeps what is left for the next start", seconds
            )
            self._process.kill()
            self._process.wait()
