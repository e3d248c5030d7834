"""Where the captured invocations are now, for the metrics: looked at in the background, read by the scrapes.

Invariants
----------
- A scrape never waits for the database or a disk: it reads what the last look found.
- A database that does not answer leaves its part as it was last known; what lies in the spools is still looked at.
- Looking takes at most a twentieth of the time, however long the backlog is.
- The counts go on where they were after a restart: they are those of the home's spools, loaded ones included. Before
  the database has answered for the first time, what was stored and answered is not told rather than told as 0.
- What is told at one look adds up: answered = stored + in memory + on disk + dropped.
"""

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from driftline.store.accounts import summed
from driftline.store.engine import open_engine
from driftline.store.errors import SpoolError
from driftline.store.spool.adoption import spools
from driftline.store.spool.inspect import SpoolState, first_position, inspect
from driftline.store.spool.loaded import loaded_spools
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool_ledger import SpoolLedger, ledgers

_SHARE_OF_TIME = 1 / 20

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True)
class TeeState:
    """What the last look found, over all spools that the home ever had.

    Attributes:
        books_known: whether the database has answered yet; else ``answered``, ``stored`` and ``quarantined`` are 0.
        answered: invocations that were given to the spools.
        stored: invocations in the database.
        quarantined: by reason: those of the stored that are no rows.
        dropped: by reason, in the database's books or still to be entered.
        in_memory, on_disk: invocations not yet in the database.
        oldest_pending_us: time of the oldest of these; 0 when there is none.
        bytes: of the segments.
        limit_bytes, available_bytes: what they may take, and what they may still take.
    """

    books_known: bool = False
    answered: int = 0
    stored: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    in_memory: int = 0
    on_disk: int = 0
    oldest_pending_us: int = 0
    bytes: int = 0
    limit_bytes: int = 0
    available_bytes: int = 0


class SpoolWatch:
    """Looks at the spools of one home while ``running``; ``state`` is the newest result."""

    def __init__(self, store_url: str, folder: Path, settings: SpoolSettings) -> None:
        self.state = TeeState(limit_bytes=settings.max_bytes)
        self._store_url = store_url
        self._folder = folder
        self._settings = settings
        self._booked: dict[str, SpoolLedger] = {}
        self._books_known = False
        self._seen: set[str] = set()
        self._stop = threading.Event()

    @contextmanager
    def running(self, poll_seconds: float) -> Iterator[None]:
        """Look every ``poll_seconds``, or less often where looking takes long, from a thread."""
        thread = threading.Thread(target=self._run, args=(poll_seconds,), name="spool-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()

    def _run(self, poll_seconds: float) -> None:
        engine = open_engine(self._store_url, probe=False)
        pause = 0.0
        while not self._stop.wait(pause):
            begin = time.monotonic()
            try:
                self.look(engine)
            except Exception as error:  # the metrics go on with what is known, whatever a disk or a database does
                _log.warning("the spools could not be inspected (%s)", type(error).__name__)
            pause = max(poll_seconds, (time.monotonic() - begin) / _SHARE_OF_TIME)
        engine.dispose()

    def look(self, engine: Engine) -> None:
        """Renew ``state``."""
        paths = spools(self._folder)
        self._seen |= {path.name for path in paths} | loaded_spools(self._folder)
        with suppress(DBAPIError):  # the loader says so in its log
            self._booked.update(ledgers(engine, self._seen))
            self._books_known = True
        self.state = self._sum([state for path in paths if (state := self._inspect(path))])

    def _inspect(self, path: Path) -> SpoolState | None:
        booked = self._booked.get(path.name)
        try:
            if booked is None and not self._books_known:  # nobody says what was loaded; it is not there any more
                return inspect(path, first_position(path))
            return inspect(path, booked.position if booked else None)
        except (SpoolError, FileNotFoundError):  # loaded and removed since it was listed, or too fast for this time
            return None

    def _sum(self, states: list[SpoolState]) -> TeeState:
        booked, here = self._booked.values(), {state.uuid for state in states}
        settled = sum(ledger.position.seq for uuid, ledger in self._booked.items() if uuid not in here)
        known = self._books_known
        used = sum(state.bytes for state in states)
        free = shutil.disk_usage(self._folder).free - self._settings.min_free_bytes
        return TeeState(
            books_known=known,
            answered=settled + sum(state.answered for state in states) if known else 0,
            stored=sum(ledger.stored for ledger in booked),
            quarantined=summed(ledger.quarantined_by_reason for ledger in booked),
            dropped=summed([*(ledger.dropped for ledger in booked), *(state.dropped for state in states)]),
            in_memory=sum(state.in_memory for state in states),
            on_disk=sum(state.on_disk for state in states),
            oldest_pending_us=min((state.oldest_at_us for state in states if state.oldest_at_us), default=0),
            bytes=used,
            limit_bytes=self._settings.max_bytes,
            available_bytes=max(0, min(self._settings.max_bytes - used, free)),
        )
