"""Follow the registry while the server runs: which versions its aliases, stages and latest versions mean now.

Invariants
----------
- Serving never waits for the registry: one that does not answer leaves everything as it is, and is said once.
- One thread asks, fetches, gives orders and reads what became of them.
- An event that the disk does not take is kept in memory and left later; the oldest go first where there are too many.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from driftline.scorer.load_reports import ReportPipe
from driftline.scorer.model_source import current_version, may_move
from driftline.scorer.orders import OrderBoard, Orders
from driftline.scorer.rollout import Rollout
from driftline.store.events import Event, leave_event
from driftline.store.records import now_us

_LOOK_SECONDS = 0.5
_KEPT_EVENTS = 1000
_FAREWELL_SECONDS = 2.0  # a fetch may take longer; the process ends without it

_log = logging.getLogger("driftline.scorer")


class EventLog:
    """Leaves events for the loader."""

    def __init__(self, spool_folder: Path) -> None:
        self._folder = spool_folder
        self._waiting: deque[Event] = deque(maxlen=_KEPT_EVENTS)

    def leave(self, event: Event) -> None:
        self._waiting.append(event)
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the disk takes it."""
        try:
            while self._waiting:
                leave_event(self._folder, self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            _log.debug("events wait for the disk (%s)", error.strerror)


class RegistryWatch:
    """The thread; ``last_success_us`` is when the registry last said where everything points, 0 where nothing moves."""

    def __init__(
        self, rollouts: Sequence[Rollout], board: OrderBoard, reports: ReportPipe, events: EventLog, poll_seconds: float
    ) -> None:
        self.rollouts = rollouts
        self._board = board
        self._reports = reports
        self._events = events
        self.poll_seconds = poll_seconds
        self._moving = [rollout for rollout in rollouts if poll_seconds and may_move(rollout.uri)]
        self.last_success_us = now_us() if self._moving else 0
        self._away = False
        self._stop = threading.Event()
        self._post()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Follow the registry from a thread."""
        thread = threading.Thread(target=self._run, name="registry-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(_FAREWELL_SECONDS)

    def _run(self) -> None:
        poll_at = time.monotonic() + self.poll_seconds
        while not self._stop.is_set():
            try:
                for report in self._reports.receive(_LOOK_SECONDS):
                    for rollout in self.rollouts:
                        rollout.take(report, time.monotonic())
                if self._moving and time.monotonic() >= poll_at:
                    self.poll()
                    poll_at = time.monotonic() + self.poll_seconds
                self.advance()
            except Exception:  # what serves goes on; the next look may go better
                _log.exception("following the registry failed")
                self._stop.wait(_LOOK_SECONDS)

    def poll(self) -> None:
        """Ask the registry once."""
        try:
            for rollout in self._moving:
                if version := current_version(rollout.uri):
                    rollout.point(version)
        except Exception as error:  # MLflow and its stores raise many kinds
            if not self._away:
                text = (str(error).strip() or type(error).__name__).splitlines()[0]
                _log.warning("the registry does not say what to serve (%s): what serves goes on", text[:300])
            self._away = True
            return
        if self._away:
            _log.warning("the registry answers again")
        self._away = False
        self.last_success_us = now_us()

    def advance(self) -> None:
        """Do what is due and tell the workers."""
        moved = [rollout.advance(time.monotonic()) for rollout in self.rollouts]
        if any(moved):
            self._post()
        self._events.flush()

    def _post(self) -> None:
        proven = {rollout.arm: rollout.proven_order for rollout in self.rollouts}
        wanted = {rollout.arm: order for rollout in self.rollouts if (order := rollout.wanted_order)}
        self._board.post(Orders(proven, wanted))
