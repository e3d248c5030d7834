"""Run the jobs at their times, each on a thread of its own, and remember how they went.

Invariants
----------
- A job never runs twice at a time; starts that were missed become one.
- A job that raises is counted as failed and is started again at its next time; no other job notices.
- The heartbeat moves only while the scheduler's loop runs.
- Jobs run in the monitor that leads. One that takes over from another runs each when it is due, not anew, but at once
  what that one left unfinished.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.interval import IntervalTrigger

from driftline.monitor.jobs import (
    drift_job,
    imports_job,
    labels_job,
    multivariate_job,
    performance_job,
    quality_job,
    reference_job,
    retention_job,
    rollup_job,
    segments_job,
)
from driftline.monitor.jobs.job import JobContext, JobReport, explain
from driftline.monitor.leader import Leadership, claim_on
from driftline.monitor.metrics.job_durations import JobDurations
from driftline.monitor.report import job as report_job
from driftline.monitor.report import windows as report_windows
from driftline.monitor.rows import results
from driftline.monitor.rows.results import Result
from driftline.store.engine import writing
from driftline.store.errors import DriftlineError
from driftline.store.records import MICROSECONDS

log = logging.getLogger(__name__)
_TICK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """A job's name, what it does, and when; ``at_start`` has it run once when the monitor starts."""

    name: str
    run: Callable[[JobContext], JobReport]
    trigger: Any
    interval_seconds: float
    at_start: bool


def jobs(context: JobContext) -> list[Job]:
    """Return all jobs, in the order in which `monitor --once` runs them.

    Raises:
        ConfigurationError: the report's cron expression is malformed.
    """
    monitor = context.monitor
    found = [
        _regular(reference_job, monitor.reference_interval_seconds),
        _regular(drift_job, monitor.drift_interval_seconds),
        _regular(segments_job, context.segments.interval_seconds),
        _regular(quality_job, context.quality.interval_seconds),
        _regular(multivariate_job, context.multivariate.interval_seconds),
        _regular(performance_job, context.performance.interval_seconds),
        Job(
            report_job.NAME,
            report_job.run,
            OrTrigger([report_windows.report_cron(context.report), _every(report_job.LOOK_SECONDS)]),
            report_windows.period(context.report).total_seconds(),
            at_start=True,
        ),
        _regular(labels_job, context.labels.match_interval_seconds),
        _regular(imports_job, context.imports.interval_seconds),
        _regular(rollup_job, monitor.rollup_interval_seconds),
        _regular(retention_job, monitor.retention_interval_seconds),
    ]
    works = {
        multivariate_job.NAME: context.multivariate.enabled,
        segments_job.NAME: bool(context.segments.columns),
        imports_job.NAME: bool(context.imports.models),
    }
    return [job for job in found if works.get(job.name, True)]


def _regular(module: ModuleType, interval_seconds: float) -> Job:
    """Return the job of a module that runs at the start and then at this pace."""
    return Job(module.NAME, module.run, _every(interval_seconds), interval_seconds, at_start=True)


def run_job(context: JobContext, job: Job) -> JobReport:
    """Run one job now; what it raises becomes the report's error: the next time may be better."""
    try:
        return job.run(context)
    except DriftlineError as error:
        return JobReport(job.name, 0.0, {}, str(error))
    except Exception as error:  # the other jobs must go on
        return JobReport(job.name, 0.0, {}, explain(error, f"the job {job.name}"))


class Schedule:
    """The scheduler's threads; see the module."""

    def __init__(self, context: JobContext, on_end: Callable[[], None]) -> None:
        claim = claim_on(context.engine)
        self._context = replace(context, engine=claim.fenced(context.engine))
        self._on_end = on_end
        self._leadership = Leadership(claim, self._lead, self._stand_by)
        self._jobs = {job.name: job for job in jobs(context)}
        self._runs: dict[tuple[str, str], Counter[str]] = {}
        self._durations = {name: JobDurations() for name in self._jobs}
        self._lock = threading.Lock()
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._started = False
        self.made_seconds = time.time()
        self.last_tick_seconds = 0.0
        self.mlflow_up: bool | None = None  # None: not asked yet

    def start(self) -> None:
        """Start the heartbeat, and all jobs as soon as this monitor leads."""
        now = datetime.now(UTC)
        self._scheduler.add_job(self._tick, _every(_TICK_SECONDS), id="tick", next_run_time=now)
        self._scheduler.add_job(
            self._probe, _every(self._context.monitor.probe_interval_seconds), id="probe", next_run_time=now
        )
        self._tick()
        self._scheduler.start()
        self._started = True
        self._leadership.start()

    def stop(self) -> None:
        """Start nothing more; jobs that run are left to end with the process."""
        self._scheduler.shutdown(wait=False)
        self._leadership.stop()

    @property
    def is_alive(self) -> bool:
        """Whether the heartbeat moved lately."""
        return time.time() - self.last_tick_seconds < 12 * _TICK_SECONDS

    @property
    def stands_by(self) -> bool:
        """Whether another monitor runs the jobs, as far as this one knows."""
        return self._started and not self._leadership.leads

    def interval_seconds(self, job: str) -> float:
        """Return the time between two runs of a job."""
        return self._jobs[job].interval_seconds

    def runs(self, model_name: str, job: str) -> dict[str, int]:
        """Return how many runs ended how since the monitor started, every result named.

        A job of the whole store has the empty model name.
        """
        with self._lock:
            counted = self._runs.get((model_name, job), Counter())
            return {result.value: counted[result] for result in Result}

    def durations(self, job: str) -> JobDurations:
        """Return what the runs of a job took since the monitor started."""
        with self._lock:
            return self._durations[job].copy()

    @property
    def job_names(self) -> list[str]:
        """All jobs."""
        return list(self._jobs)

    def _lead(self, took_over: bool) -> None:
        """Add the jobs; runs that were left unfinished were those of a monitor that leads no more."""
        with writing(self._context.engine) as connection:
            interrupted = results.close_interrupted(connection, self._context.clock())
            begun = results.newest_starts(connection)
        now = datetime.now(UTC)
        for job in self._jobs.values():
            first = {"next_run_time": now} if job.at_start else {}
            if took_over and job.at_start and job.name in begun and job.name not in interrupted:
                last = datetime.fromtimestamp(begun[job.name] / MICROSECONDS, UTC)
                first = {"next_run_time": max(now, last + timedelta(seconds=job.interval_seconds))}
            self._scheduler.add_job(self._run, job.trigger, args=[job], id=job.name, replace_existing=True, **first)

    def _stand_by(self) -> None:
        for name in self._jobs:
            with suppress(JobLookupError):
                self._scheduler.remove_job(name)

    def _run(self, job: Job) -> None:
        if not self._leadership.leads:  # it was lost, and the jobs are about to be removed
            return
        began = time.monotonic()
        report = run_job(self._context, job)
        if self.stands_by:
            log.warning("the job %s ended after another monitor took over: %s", job.name, report)
            return
        seconds = time.monotonic() - began
        with self._lock:
            for label, outcome in report.outcomes.items():
                name = label.rpartition("/")[0]
                self._runs.setdefault((name, job.name), Counter())[outcome.result] += 1
            if report.error:  # of no model: it could not begin
                self._runs.setdefault(("", job.name), Counter())[Result.ERROR] += 1
            mlflow_runs = [o.mlflow_run_id for o in report.outcomes.values() if o.mlflow_run_id]
            self._durations[job.name].add(seconds, mlflow_runs[0] if mlflow_runs else None)
        log.info("%s", report)
        self._on_end()

    def _tick(self) -> None:
        self.last_tick_seconds = time.time()

    def _probe(self) -> None:
        self.mlflow_up = self._context.link.probe()


def _every(seconds: float) -> Any:
    return IntervalTrigger(seconds=seconds, timezone=UTC)
