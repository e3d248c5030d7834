"""The scheduled jobs: plain functions that judge every watched version, or tend the store, and record how that went.

Invariants
----------
- A version whose check fails is recorded as an error; the other versions and the other jobs go on.
- Every run that begins is recorded when it begins, and its end in the transaction after its results.
"""

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from driftline.monitor.mlflow_link import MlflowLink, exact_uri
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.quality.settings import QualitySettings
from driftline.monitor.rows import results
from driftline.monitor.rows.results import Result
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.monitor.watch import WatchedVersion, watched_versions
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError
from driftline.store.imports.settings import ImportSettings
from driftline.store.labels.settings import LabelSettings
from driftline.store.records import MICROSECONDS, now_us
from driftline.store.redaction import Redaction
from driftline.store.retention.settings import RetentionSettings
from driftline.store.segments.settings import SegmentSettings

if TYPE_CHECKING:
    from driftline.monitor.drift.settings import DriftSettings

log = logging.getLogger(__name__)
STORE = "store"  # the label of what is about no model version


@dataclass(frozen=True)
class JobContext:
    """What every job works with; ``clock`` returns microseconds since the epoch."""

    engine: Engine
    home: Path
    monitor: MonitorSettings
    report: ReportSettings
    drift: "DriftSettings"
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    imports: ImportSettings = field(default_factory=ImportSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    multivariate: MultivariateSettings = field(default_factory=MultivariateSettings)
    performance: PerformanceSettings = field(default_factory=PerformanceSettings)
    segments: SegmentSettings = field(default_factory=SegmentSettings)
    redaction: Redaction | None = None
    link: MlflowLink = field(default_factory=MlflowLink)
    clock: Callable[[], int] = now_us

    def watched(self) -> list[WatchedVersion]:
        """Return the model versions under watch now."""
        since = self.clock() - round(self.monitor.window_seconds * MICROSECONDS)
        with self.engine.connect() as connection:
            return watched_versions(connection, since)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended for one version."""

    result: Result
    message: str
    mlflow_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobReport:
    """How a job's run ended: one outcome per model version, by ``name/version``, or one for the store, by ``store``.

    ``error`` says why it could not begin.
    """

    job: str
    seconds: float
    outcomes: dict[str, Outcome]
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether the job failed, for one version or as a whole."""
        return bool(self.error) or any(o.result is Result.ERROR for o in self.outcomes.values())

    def __str__(self) -> str:
        if self.error:
            return f"{self.job}: error ({self.error})"
        if not self.outcomes:
            return f"{self.job}: nothing to do ({self.seconds:.1f} s)"
        said = "; ".join(f"{label}: {o.result} ({o.message})" for label, o in self.outcomes.items())
        return f"{self.job}: {said} ({self.seconds:.1f} s)"


def without_reference(version: WatchedVersion) -> Outcome:
    """Return the outcome for a version that there is nothing to compare with."""
    return Outcome(Result.SKIPPED, f"no training reference: `driftline reference build {exact_uri(version.identity)}`")


Check = Callable[[JobContext, WatchedVersion, int], Outcome]


def each_version(context: JobContext, job: str, versions: list[WatchedVersion], check: Check) -> JobReport:
    """Run ``check(context, version, job_run_id)`` for each version and record each run."""
    began = time.monotonic()
    outcomes = {
        version.label: _recorded(context, job, version.id, version.label, partial(check, context, version))
        for version in versions
    }
    return JobReport(job, time.monotonic() - began, outcomes)


def whole_store(context: JobContext, job: str, check: Callable[[JobContext], Outcome]) -> JobReport:
    """Run ``check(context)`` once, for no version, and record it."""
    began = time.monotonic()
    outcome = _recorded(context, job, None, STORE, lambda _: check(context))
    return JobReport(job, time.monotonic() - began, {STORE: outcome})


def _recorded(
    context: JobContext, job: str, model_version_id: int | None, label: str, check: Callable[[int], Outcome]
) -> Outcome:
    with writing(context.engine) as connection:
        run_id = results.begin_run(connection, job, model_version_id, context.clock())
    outcome = _guarded(job, label, check, run_id)
    with writing(context.engine) as connection:
        results.finish_run(connection, run_id, outcome.result, outcome.message, context.clock(), outcome.mlflow_run_id)
    return outcome


def _guarded(job: str, label: str, check: Callable[[int], Outcome], run_id: int) -> Outcome:
    try:
        return check(run_id)
    except DriftlineError as error:
        return Outcome(Result.ERROR, str(error))
    except Exception as error:  # one version's failure must not end the others'
        return Outcome(Result.ERROR, explain(error, f"the job {job} for {label}"))


def explain(error: Exception, what: str) -> str:
    """Log where an unforeseen error came from, and return it in one line.

    Both name places only: the text of a foreign exception may hold request values.
    """
    log.error("%s failed: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}, see the log"
