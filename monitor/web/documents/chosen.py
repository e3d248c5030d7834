"""The version and arm that a page is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.monitor.performance.coverage import LabelCoverage
from driftline.monitor.performance.verdict import JudgedMetric
from driftline.monitor.quality.finding import QualityFinding
from driftline.monitor.rows.multivariate_rows import newest_check
from driftline.monitor.rows.performance_rows import newest_coverage, newest_performance
from driftline.monitor.rows.quality_rows import newest_findings
from driftline.monitor.rows.results import newest_drift
from driftline.monitor.rows.segment_performance_rows import newest_segment_performance
from driftline.monitor.rows.segment_rows import newest_segments
from driftline.monitor.segments.parts import segment_names
from driftline.monitor.status import VersionStatus
from driftline.monitor.web.query import PageQuery
from driftline.monitor.web.sources import Sources
from driftline.store.errors import DriftlineError
from driftline.store.records import Arm


class NotWatched(DriftlineError):
    """No such model, version or column is under watch."""


@dataclass(frozen=True)
class Chosen:
    """One version and arm of a model.

    Attributes:
        versions: all watched ones, the one first that the model's name means.
        rows: of ``drift_result``: its newest judgement.
        quality, multivariate, performance: what their jobs found last; ``segments`` likewise, of ``segment_result``.
        estimated_performance: what would be found without labels; ``coverage`` is that of labels.
        segment_performance: rows of ``segment_performance_result``.
    """

    versions: Sequence[VersionStatus]
    status: VersionStatus
    arm: Arm
    rows: Sequence[Row[Any]]
    quality: Sequence[QualityFinding]
    multivariate: MultivariateDrift | None
    segments: Sequence[Row[Any]]
    performance: Sequence[JudgedMetric]
    estimated_performance: Sequence[JudgedMetric]
    coverage: LabelCoverage | None
    segment_performance: Sequence[Row[Any]]

    @property
    def is_usual(self) -> bool:
        """Whether this is what the model's name alone means."""
        return self.status is self.versions[0] and self.arm == self.status.version.arms[0]

    def query(self) -> dict[str, str | None]:
        """Return the query string's part that leads here again."""
        if self.is_usual:
            return {"version": None, "arm": None}
        return {"version": self.status.version.identity.version, "arm": self.arm.name.lower()}


def choose(connection: Connection, sources: Sources, model: str, query: PageQuery) -> Chosen:
    """Return what a query means of a model.

    Raises:
        NotWatched: the model or the version is not under watch, or has no such arm.
    """
    versions = sources.status.snapshot().by_name.get(model)
    if not versions:
        raise NotWatched("no such model is under watch: `/` lists those that are")
    wanted = [v for v in versions if query.version in (None, v.version.identity.version)]
    if query.arm is not None:
        wanted = [v for v in wanted if query.arm in v.version.arms]
    if not wanted:
        raise NotWatched("the model has no such version or arm under watch: its page lists those that are")
    status = wanted[0]
    arm = status.version.arms[0] if query.arm is None else query.arm
    if arm == status.version.arms[0]:
        found = status.segments, status.performance, status.estimated_performance
        more = status.coverage, status.segment_performance
        return Chosen(versions, status, arm, status.drift, status.quality, status.multivariate, *found, *more)
    key = connection, status.version.id, arm
    named = segment_names(sources.context, status.version)
    return Chosen(
        versions,
        status,
        arm,
        newest_drift(*key),
        newest_findings(*key),
        newest_check(*key),
        newest_segments(*key, named),
        newest_performance(*key),
        newest_performance(*key, estimated=True),
        newest_coverage(*key),
        newest_segment_performance(*key, named),
    )
