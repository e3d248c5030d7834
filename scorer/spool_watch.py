"""Where the captured invocations are now, for the metrics: looked at in the background, read by the scrapes.

Invariants
----------
- A scrape never waits for the database or a disk: it reads what the last look found.
- A database that does not answer leaves its part as it was last known; what lies in the spools is still looked at.
- Looking takes at most a twentieth of the time, however long the backlog is.
- The counts go on where they were after a restart: they are those of the home's spools, loaded ones included. Before
  the database has answered for the first time, what was stored and answered is not told rather than told as 0.
- What is told at one look adds up, answered = stored + in memory + on disk + dropped, and no count falls: what a
  loader removes between two steps of a look is neither missed nor taken for damage.
"""

import logging
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
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
from driftline.store.spool.reader import Position
from driftline.store.spool.segment import segment_numbers
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool_ledger import SpoolLedger, ledgers

_SHARE_OF_TIME = 1 / 20
_TRIES = 3

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


@dataclass(frozen=True, slots=True)
class _Told:
    """What the database holds of a spool, and what the spool holds behind that position; None when it is gone."""

    ledger: SpoolLedger | None
    state: SpoolState | None

    @property
    def answered(self) -> int:
        if self.state is not None:
            return self.state.answered
        return self.ledger.position.seq if self.ledger else 0


class SpoolWatch:
    """Looks at the spools of one home while ``running``; ``state`` is the newest result."""

    def __init__(self, store_url: str, folder: Path, settings: SpoolSettings) -> None:
        self.state = TeeState(limit_bytes=settings.max_bytes)
        self._store_url = store_url
        self._folder = folder
        self._settings = settings
        self._books_known = False
        self._booked: dict[str, SpoolLedger] = {}
        self._told: dict[str, _Told] = {}
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
        """Renew ``state``; a spool that is loaded faster than it can be counted stays as it was told last."""
        paths = {path.name: path for path in spools(self._folder)}
        seen = self._told.keys() | paths.keys() | loaded_spools(self._folder)
        left = dict(paths)
        for _ in range(_TRIES):
            answered = self._read_books(engine, seen)
            left = {uuid: path for uuid, path in left.items() if not self._inspect(path)}
            if not left or not answered:
                break
        for uuid in self._booked.keys() - paths.keys():
            self._told[uuid] = _Told(self._booked[uuid], None)
        self.state = self._sum()

    def _read_books(self, engine: Engine, seen: Collection[str]) -> bool:
        """Return whether the database told what it holds."""
        try:
            self._booked.update(ledgers(engine, seen))
        except DBAPIError:  # the loader says so in its log
            return False
        self._books_known = True
        return True

    def _inspect(self, path: Path) -> bool:
        """Note what a spool holds behind its position; return False where the position is not that of the segments."""
        ledger = self._booked.get(path.name)
        try:
            if ledger is not None or self._books_known:
                position = ledger.position if ledger else Position()
            else:  # nobody says what was loaded; it is not there any more
                position = first_position(path)
            state = inspect(path, position)
            if next(iter(segment_numbers(path)), 0) > max(1, position.segment):  # else they were there all the while
                return False
        except (SpoolError, FileNotFoundError):  # loaded and removed since it was listed, or too fast for this time
            return False
        self._told[path.name] = _Told(ledger, state)
        return True

    def _sum(self) -> TeeState:
        booked = [told.ledger for told in self._told.values() if told.ledger]
        states = [told.state for told in self._told.values() if told.state]
        known = self._books_known
        used = sum(state.bytes for state in states)
        free = shutil.disk_usage(self._folder).free - self._settings.min_free_bytes
        return TeeState(
            books_known=known,
            answered=sum(told.answered for told in self._told.values()) if known else 0,
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
