"""The loader: every spool of this host into the store, for as long as there are spools.

Invariants
----------
- It never gives up: while the database is away it waits 0.1 s to 30 s between tries, with full jitter and no limit, and
  says so once when it goes and once when it is back.
- A spool that cannot be loaded stops no other spool.
- A spool is removed when its owner has ended and all of it has been loaded, and only then.
- Its memory is bounded by a batch, whatever the backlog.
- It is a process of its own, never a thread of the scorer.
"""

import logging
import random
import threading
import time
from pathlib import Path

from sqlalchemy import Engine

from driftline.store import partitions
from driftline.store.errors import SpoolError
from driftline.store.events import load_events
from driftline.store.failures import cause, describe, is_store_trouble, next_step
from driftline.store.loader.meter import LoaderMeter
from driftline.store.loader.settings import LoaderSettings
from driftline.store.loader.spool_loading import LoadReport, SpoolLoading
from driftline.store.records import now_us
from driftline.store.spool.adoption import adopt_orphans, remove_loaded, spools

__all__ = ["LoadReport", "Loader", "LoaderSettings"]

_log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 30.0
_UPKEEP_SECONDS = 3600.0  # partitions ahead
_ADOPTION_SECONDS = 1.0


class Loader:
    """Loads the spools under one folder; used by one thread.

    Args:
        meter: where batches are counted, for whoever shows it.
    """

    def __init__(
        self, engine: Engine, spool_folder: Path, settings: LoaderSettings, meter: LoaderMeter | None = None
    ) -> None:
        self._engine = engine
        self._folder = spool_folder
        self._settings = settings
        self._meter = meter or LoaderMeter.create()
        self._loading: dict[Path, SpoolLoading] = {}
        self._upkeep_at = self._adoption_at = float("-inf")
        self._troubled: set[Path] = set()
        self._adoption_trouble = ""

    def load_once(self) -> LoadReport:
        """Load everything that is there now.

        Raises:
            Exception: of the database where it is away.
        """
        total = LoadReport()
        while (report := self._load_round()).moved:
            total += report
        return total

    def run(self, stop: threading.Event) -> None:
        """Load until ``stop`` is set, then what is left, for at most ``drain_seconds``."""
        wait = _FIRST_WAIT_SECONDS
        away = False
        deadline: float | None = None
        while deadline is None or time.monotonic() < deadline:
            if stop.is_set() and deadline is None:
                deadline = time.monotonic() + self._settings.drain_seconds
                self._adoption_at = float("-inf")
            try:
                report = self._load_round()
            except Exception as error:
                if not is_store_trouble(error):
                    raise
                self._begin_anew()
                self._meter.failed()
                if not away:
                    _log.warning(
                        "the store does not take rows, the spool keeps them: %s (%s): %s; it is tried again and again",
                        self._engine.url.render_as_string(hide_password=True), cause(error), next_step(error),
                    )  # fmt: skip
                away = True
                pause = random.uniform(0, wait)  # noqa: S311 - jitter
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            else:
                if away and report.moved:
                    _log.warning("the store takes rows again")
                    away, wait = False, _FIRST_WAIT_SECONDS
                if deadline is not None and not report.moved:
                    return
                pause = 0.0 if report.moved else self._settings.poll_interval_seconds
            if deadline is None:
                stop.wait(pause)
            else:
                time.sleep(min(pause, max(0.0, deadline - time.monotonic())))

    def _load_round(self) -> LoadReport:
        """Load at most one batch of every spool."""
        self._keep_up()
        active = spools(self._folder)
        for gone in self._loading.keys() - set(active):
            del self._loading[gone]
        total = LoadReport()
        for path in active:
            total += self._load(path)
        return total

    def _load(self, path: Path) -> LoadReport:
        try:
            if path not in self._loading:
                self._loading[path] = SpoolLoading(self._engine, path, self._settings)
            began = time.monotonic_ns()
            report = self._loading[path].load_batch()
            if report.moved:
                self._meter.flushed((time.monotonic_ns() - began) // 1000, now_us())
            elif remove_loaded(path):
                del self._loading[path]
        except Exception as error:
            self._loading.pop(path, None)
            if is_store_trouble(error):
                raise
            if path.exists():  # else another loader has loaded and removed it
                self._meter.failed()
                self._report_once(path, error)
            return LoadReport()
        self._troubled.discard(path)
        return report

    def _report_once(self, path: Path, error: Exception) -> None:
        if path not in self._troubled:
            why = error if isinstance(error, SpoolError | OSError) else describe(error)
            _log.error("spool %s is not loaded: %s", path.name, why)
        self._troubled.add(path)

    def _keep_up(self) -> None:
        now = time.monotonic()
        if now - self._upkeep_at >= _UPKEEP_SECONDS:
            today = partitions.day_of(now_us())
            partitions.ensure_days(self._engine, range(today - 1, today + partitions.DAYS_AHEAD + 1))
            self._upkeep_at = now
        if now - self._adoption_at >= _ADOPTION_SECONDS:
            self._adopt()
            load_events(self._engine, self._folder)
            self._adoption_at = now

    def _adopt(self) -> None:
        try:
            for path in adopt_orphans(self._folder):
                _log.info("the worker of spool %s has ended: loading what it left", path.name)
            self._adoption_trouble = ""
        except (SpoolError, OSError) as error:
            if self._adoption_trouble != str(error):
                _log.error("a spool whose process is dead cannot be adopted: %s", error)
            self._adoption_trouble = str(error)

    def _begin_anew(self) -> None:
        """Read on from where the store says, on new connections."""
        self._loading.clear()
        self._engine.dispose()
