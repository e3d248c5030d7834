"""The state of every watched model, read from the store: what the metrics, the status page and its JSON all show.

Invariants
----------
- A snapshot is read whole from one transaction; readers of several threads share it until it is ``_FRESH_SECONDS`` old
  or a job has ended.
- When the store does not answer, the last snapshot stays and ``store_up`` says so.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import SQLAlchemyError

from driftline.monitor.drift.episodes import Episode
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.metrics.bin_shares import BinReader, BinShares
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.quality.finding import QualityFinding
from driftline.monitor.rows import results
from driftline.monitor.rows.episode_rows import open_drift
from driftline.monitor.rows.multivariate_rows import newest_check
from driftline.monitor.rows.performance_rows import newest_coverage, newest_performance
from driftline.monitor.rows.quality_rows import newest_findings
from driftline.monitor.rows.results import JobClock
from driftline.monitor.rows.segment_performance_rows import newest_segment_performance
from driftline.monitor.rows.segment_rows import newest_segments
from driftline.monitor.segments.parts import segment_names
from driftline.monitor.watch import WatchedVersion, watched_versions
from driftline.store import schema
from driftline.store.imports.waiting import EventAccounts, event_accounts
from driftline.store.labels.accounts import LabelAccounts, label_accounts
from driftline.store.labels.settings import LabelSettings
from driftline.store.records import MICROSECONDS

log = logging.getLogger(__name__)
_FRESH_SECONDS = 5.0
CHECKS = ("drift", "segments", "quality", "multivariate", "performance", "report")
STORE_CHECKS = ("labels", "imports", "rollup", "retention")  # about the whole store, no model


@dataclass(frozen=True, slots=True)
class ReferenceStatus:
    """The newest reference of a version, without its bins."""

    row_count: int
    source: str
    made_at_us: int


@dataclass(frozen=True)
class VersionStatus:
    """One watched version: its newest verdicts and job clocks.

    Attributes:
        drift: rows of ``drift_result`` of the newest judgement, of the version's first arm; empty while there is none.
        open_drift: the episodes of the sides that are drifted, by side.
        bins: of the judged columns, where they are exported.
        quality, multivariate, performance: what their jobs found last, of the version's first arm.
        estimated_performance: the same without labels, where a job estimates it.
        coverage: of labels; None while the version has none.
        segments: rows of ``segment_result`` likewise, of the columns that are named now; ``segment_performance`` of
            ``segment_performance_result``.
    """

    version: WatchedVersion
    reference: ReferenceStatus | None
    drift: Sequence[Row[Any]]
    open_drift: Mapping[str, Episode]
    clocks: dict[str, JobClock]
    share_threshold: float
    bins: Sequence[BinShares] = ()
    quality: Sequence[QualityFinding] = ()
    multivariate: MultivariateDrift | None = None
    segments: Sequence[Row[Any]] = ()
    performance: Sequence[JudgedMetric] = ()
    estimated_performance: Sequence[JudgedMetric] = ()
    coverage: LabelCoverage | None = None
    segment_performance: Sequence[Row[Any]] = ()

    def judged(self, side: str) -> list[Row[Any]]:
        """The columns of one side that have a verdict."""
        return [r for r in self.drift if r.side == side and r.score is not None]

    @property
    def widest(self) -> Row[Any] | None:
        """The column whose deciding window began first; None where nothing was judged yet."""
        return min(self.drift, key=lambda r: r.window_start, default=None)

    def share(self, side: str) -> float | None:
        """The drifted share of the judged columns; None where none was judged."""
        judged = self.judged(side)
        return sum(r.verdict == "drift" for r in judged) / len(judged) if judged else None

    def drifted(self, side: str) -> bool | None:
        """Whether the side as a whole drifted; None where nothing was judged."""
        share = self.share(side)
        return None if share is None else share > self.share_threshold


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment; ``by_name`` has the version first that takes precedence.

    ``clocks`` are those of the jobs that are about the whole store; ``expected_labels`` is what is expected of labels;
    ``events`` tells of those that KServe and Seldon sent.
    """

    versions: list[VersionStatus] = field(default_factory=list)
    clocks: dict[str, JobClock] = field(default_factory=dict)
    labels: LabelAccounts = field(default_factory=LabelAccounts)
    expected_labels: LabelSettings = field(default_factory=LabelSettings)
    events: EventAccounts = field(default_factory=EventAccounts)

    @property
    def by_name(self) -> dict[str, list[VersionStatus]]:
        models: dict[str, list[VersionStatus]] = {}
        newest_first = sorted(self.versions, key=lambda s: s.version.precedence, reverse=True)
        for each in newest_first:
            models.setdefault(each.version.identity.name, []).append(each)
        return dict(sorted(models.items()))


class StatusReader:
    """Reads snapshots; see the module."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._read_at: float | None = None
        self._bins = BinReader() if context.monitor.export_bins else None
        self.store_up = True
        self.read_at_us = 0  # 0: never

    def snapshot(self) -> Snapshot:
        """Return a snapshot at most ``_FRESH_SECONDS`` old, or the last one where the store does not answer."""
        with self._lock:
            now = time.monotonic()
            if self._read_at is None or now - self._read_at > _FRESH_SECONDS:
                self._read()
                self._read_at = time.monotonic()
            return self._snapshot

    def expire(self) -> None:
        """Have the next snapshot read anew; called when a job has ended."""
        with self._lock:
            self._read_at = None

    def _read(self) -> None:
        try:
            with self._context.engine.connect() as connection:
                found = read_snapshot(connection, self._context, self._bins)
            if found != self._snapshot:  # one that says the same stays, and with it what was made of it
                self._snapshot = found
            self.store_up, self.read_at_us = True, self._context.clock()
        except SQLAlchemyError as error:
            if self.store_up:
                log.error("the store does not answer (%s): the last results stay on show", type(error).__name__)
            self.store_up = False


def read_snapshot(connection: Connection, context: JobContext, bins: BinReader | None = None) -> Snapshot:
    """Read the state of all watched versions; with the bins of their columns where a reader of these is given."""
    since = context.clock() - round(context.monitor.window_seconds * MICROSECONDS)
    versions = [_read_version(connection, v, context, bins) for v in watched_versions(connection, since)]
    clocks = _clocks(connection, STORE_CHECKS, None)
    return Snapshot(versions, clocks, label_accounts(connection), context.labels, event_accounts(connection))


def _read_version(
    connection: Connection, version: WatchedVersion, context: JobContext, bins: BinReader | None
) -> VersionStatus:
    arm = version.arms[0]
    drift = results.newest_drift(connection, version.id, arm)
    return VersionStatus(
        version=version,
        reference=_reference(connection, version.id),
        drift=drift,
        open_drift=open_drift(connection, version.id, arm),
        clocks=_clocks(connection, CHECKS, version.id),
        share_threshold=context.monitor.drift_share_threshold,
        bins=bins.of(connection, version.id, drift) if bins else (),
        quality=newest_findings(connection, version.id, arm),
        multivariate=newest_check(connection, version.id, arm),
        segments=newest_segments(connection, version.id, arm, segment_names(context, version)),
        performance=newest_performance(connection, version.id, arm),
        estimated_performance=newest_performance(connection, version.id, arm, estimated=True),
        coverage=newest_coverage(connection, version.id, arm),
        segment_performance=newest_segment_performance(connection, version.id, arm, segment_names(context, version)),
    )


def _clocks(connection: Connection, checks: Sequence[str], model_version_id: int | None) -> dict[str, JobClock]:
    clocks = {check: results.job_clock(connection, check, model_version_id) for check in checks}
    return {check: clock for check, clock in clocks.items() if clock is not None}


def _reference(connection: Connection, model_version_id: int) -> ReferenceStatus | None:
    t = schema.reference
    row = connection.execute(
        select(t.c.row_count, t.c.source, t.c.made_at)
        .where(t.c.model_version_id == model_version_id)
        .order_by(t.c.id.desc())
        .limit(1)
    ).one_or_none()
    return ReferenceStatus(*row) if row else None
