"""The monitor's metrics: built at each scrape from the newest results in the store.

What is gone from the store is gone from the page, and a restart changes nothing. A monitor that stands by shows its own
state alone: the results are the leader's to show, so that nothing is counted or alerted twice. A job that is about the
whole store has the empty model name, which to Prometheus is no label. Names, labels and help texts are the catalogue's.
"""

import platform
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Row

from driftline.monitor.jobs import performance_job
from driftline.monitor.metrics.beyond_columns_metrics import add_beyond_columns
from driftline.monitor.metrics.job_durations import JobDurations
from driftline.monitor.metrics.performance_metrics import add_labels, add_performance
from driftline.monitor.metrics.segment_metrics import add_segments
from driftline.monitor.report import job as report_job
from driftline.monitor.rows.results import JobClock, Result
from driftline.monitor.settings import MonitorSettings
from driftline.monitor.status import CHECKS, STORE_CHECKS, Snapshot, StatusReader, VersionStatus
from driftline.store.metric_catalogue import load_catalogue
from driftline.store.records import MICROSECONDS

if TYPE_CHECKING:
    from driftline.monitor.jobs.schedule import Schedule

_PREFIX = "driftline_monitor_"
_OPENMETRICS_END = b"# EOF\n"
_NOTHING = Snapshot()
_SCOPES = {"dataset": "input", "prediction": "output"}


class _Page:
    """One scrape: families are made when their first sample comes."""

    def __init__(self) -> None:
        self._catalogue = load_catalogue()
        self._families: dict[str, Metric] = {}

    def set(self, name: str, value: float | None, **labels: str) -> None:
        """Add one sample of ``driftline_monitor_<name>``; None adds nothing."""
        if value is None:
            return
        known = self._catalogue[_PREFIX + name]
        self._family(name).add_sample(known.name, {label: labels[label] for label in known.labels}, float(value))

    def observe(self, name: str, durations: JobDurations, **labels: str) -> None:
        """Add one histogram."""
        family = self._family(name)
        for bound, count, exemplar in durations.buckets():
            family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count, exemplar=exemplar)
        family.add_sample(f"{family.name}_count", labels, sum(durations.counts))
        family.add_sample(f"{family.name}_sum", labels, durations.sum_seconds)

    def _family(self, name: str) -> Metric:
        if name not in self._families:
            known = self._catalogue[_PREFIX + name]
            self._families[name] = Metric(known.name.removesuffix("_total"), known.help, known.type)
        return self._families[name]

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())


class MonitorCollector(Collector):
    """Turns snapshot and schedule into metric families."""

    def __init__(self, status: StatusReader, schedule: "Schedule", settings: MonitorSettings, min_rows: int) -> None:
        self._status = status
        self._schedule = schedule
        self._settings = settings
        self._min_rows = min_rows

    def collect(self) -> Iterator[Metric]:
        snapshot = self.snapshot()
        yield from self.results(snapshot)
        yield from self.live(snapshot)

    def snapshot(self) -> Snapshot:
        """Return what both parts of a page are about: nothing while another monitor leads."""
        snapshot = self._status.snapshot()
        return _NOTHING if self._schedule.stands_by else snapshot

    def results(self, snapshot: Snapshot) -> Iterator[Metric]:
        """Yield what follows from the snapshot alone: nearly all of a page."""
        page = _Page()
        for name, versions in snapshot.by_name.items():
            self._model(page, name, versions[0])
            add_labels(page.set, name, versions, snapshot.expected_labels)
            for each in versions:
                self._version(page, name, each)
        yield from page

    def live(self, snapshot: Snapshot) -> Iterator[Metric]:
        """Yield what changes from scrape to scrape: the monitor's own state and its jobs."""
        page = _Page()
        self._about_self(page)
        if snapshot is _NOTHING:
            yield from page
            return
        self._about_store(page, snapshot)
        for check in self._schedule.job_names:
            page.observe("job_duration_seconds", self._schedule.durations(check), check=check)
            self._runs(page, "", check)
        for check in [c for c in STORE_CHECKS if c in self._schedule.job_names]:
            clock = snapshot.clocks.get(check)
            self._job(page, "", check, clock, self._schedule.made_seconds, clock.failures if clock else 0)
        for name, versions in snapshot.by_name.items():
            self._jobs(page, name, versions)
        yield from page

    def _about_self(self, page: _Page) -> None:
        page.set(
            "build_info",
            1,
            version=version("driftline"),
            python_version=platform.python_version(),
            evidently_version=_installed("evidently"),
        )
        page.set("leader", not self._schedule.stands_by)
        page.set("scheduler_last_tick_timestamp_seconds", self._schedule.last_tick_seconds)
        page.set("results_read_timestamp_seconds", _seconds(self._status.read_at_us))
        page.set("dependency_up", self._status.store_up, dependency="store")
        page.set("dependency_up", self._schedule.mlflow_up, dependency="mlflow")

    def _about_store(self, page: _Page, snapshot: Snapshot) -> None:
        page.set("models", len(snapshot.by_name))
        page.set("labels_pending", snapshot.labels.pending)
        for (name, fate), labels in sorted(snapshot.labels.fates.items()):
            page.set("labels_total", labels, model_name=name, fate=fate)
        page.set("events_waiting", snapshot.events.waiting)
        for (service, fate), events in sorted(snapshot.events.fates.items()):
            page.set("events_total", events, service=service, fate=fate)

    def _jobs(self, page: _Page, name: str, versions: list[VersionStatus]) -> None:
        current = versions[0]
        for check in [c for c in CHECKS if c in self._schedule.job_names]:
            failures = [v.clocks[check].failures for v in versions if check in v.clocks]
            registered = _first_due_us(current, check)
            self._job(page, name, check, current.clocks.get(check), _seconds(registered), max(failures, default=0))
            self._runs(page, name, check)

    def _job(
        self, page: _Page, name: str, check: str, clock: JobClock | None, registered: float, failures: int
    ) -> None:
        labels = {"model_name": name, "check": check}
        page.set("job_interval_seconds", self._schedule.interval_seconds(check), **labels)
        page.set("job_registered_timestamp_seconds", registered, **labels)
        page.set("job_last_attempt_timestamp_seconds", _seconds(clock.last_attempt_us if clock else None), **labels)
        page.set("job_last_success_timestamp_seconds", _seconds(clock.last_success_us if clock else None), **labels)
        page.set("job_last_duration_seconds", clock.last_duration_seconds if clock else None, **labels)
        page.set("job_consecutive_failures", failures, **labels)

    def _runs(self, page: _Page, name: str, check: str) -> None:
        """Add how the runs ended; those of no model are the store's, and of other jobs those that could not begin."""
        for result, runs in self._schedule.runs(name, check).items():
            if name or check in STORE_CHECKS or result == Result.ERROR:
                page.set("job_runs_total", runs, result=result, model_name=name, check=check)

    def _model(self, page: _Page, name: str, current: VersionStatus) -> None:
        page.set("window_min_rows", self._min_rows, model_name=name)
        if current.reference:
            page.set("window_rows", current.reference.row_count, model_name=name, dataset="reference")
            page.set("reference_timestamp_seconds", _seconds(current.reference.made_at_us), model_name=name)
        newest = current.widest
        if newest is not None:
            page.set("window_rows", newest.window_rows, model_name=name, dataset="current")
            page.set("window_end_timestamp_seconds", _seconds(newest.window_end), model_name=name)
        inputs = [r for r in current.drift if r.side == "input"]
        page.set("features", min(len(inputs), self._settings.max_features), model_name=name, state="monitored")
        page.set("features", sum(r.verdict == "drift" for r in inputs), model_name=name, state="drifted")
        page.set("features", max(0, len(inputs) - self._settings.max_features), model_name=name, state="dropped")

    def _version(self, page: _Page, name: str, status: VersionStatus) -> None:
        labels = {"model_name": name, "model_version": status.version.identity.version}
        if status.reference:
            page.set("reference_info", 1, source=status.reference.source, **labels)
        page.set("drift_share_ratio", status.share("input"), **labels)
        page.set("drift_share_threshold_ratio", status.share_threshold, **labels)
        for scope, side in _SCOPES.items():
            drifted = status.drifted(side)
            page.set("drift_detected", drifted, scope=scope, **labels)
            if drifted is not None:
                episode = status.open_drift.get(side)
                windows, since = (episode.judgements, episode.opened_at_us) if episode else (0, 0)
                page.set("drift_consecutive_windows", windows, scope=scope, **labels)
                page.set("drift_since_timestamp_seconds", _seconds(since), scope=scope, **labels)
        self._features(page, status, labels)
        self._outputs(page, status, labels)
        add_beyond_columns(page.set, status, labels, self._settings.max_features)
        add_segments(page.set, status, labels)
        add_performance(page.set, status, labels)
        shown = {(side, row.column_name) for side in ("input", "output") for row in self._shown(status, side)}
        for each in [b for b in status.bins if (b.side, b.column_name) in shown]:
            of = {"feature": each.column_name} if each.side == "input" else {"output": each.column_name}
            name = "feature_bin_ratio" if each.side == "input" else "prediction_bin_ratio"
            for bin_name, reference, current in each.bins:
                page.set(name, reference, bin=bin_name, dataset="reference", **of, **labels)
                page.set(name, current, bin=bin_name, dataset="current", **of, **labels)

    def _features(self, page: _Page, status: VersionStatus, labels: dict[str, str]) -> None:
        for row in self._shown(status, "input"):
            feature = {"feature": row.column_name, **labels}
            self._verdict(page, "feature", row, feature)
            page.set("feature_missing_ratio", row.missing_share, dataset="current", **feature)
            page.set("feature_missing_ratio", row.reference_missing_share, dataset="reference", **feature)
            if row.score is not None:  # times are not judged and always move on; a few rows say nothing about shares
                # Of a text, which has a length too, the rare values were never kept: there the unseen is no news.
                unseen = row.unseen_share if row.out_of_range_share is None else None
                page.set("feature_unexpected_ratio", row.out_of_range_share, kind="out_of_range", **feature)
                page.set("feature_unexpected_ratio", unseen, kind="unseen_category", **feature)

    def _outputs(self, page: _Page, status: VersionStatus, labels: dict[str, str]) -> None:
        for row in self._shown(status, "output"):
            self._verdict(page, "prediction", row, {"output": row.column_name, **labels})

    def _shown(self, status: VersionStatus, side: str) -> list[Row[Any]]:
        return [row for row in status.drift if row.side == side][: self._settings.max_features]

    def _verdict(self, page: _Page, prefix: str, row: Row[Any], labels: dict[str, str]) -> None:
        """Add a score, and beside it what it is to be compared with and what it was computed from."""
        page.set(f"{prefix}_drift_score", row.score, method=row.statistic, **labels)
        page.set(f"{prefix}_drift_threshold", row.threshold, method=row.statistic, **labels)
        page.set(f"{prefix}_drift_detected", None if row.score is None else row.verdict == "drift", **labels)
        page.set(f"{prefix}_window_rows", row.window_rows, **labels)
        seconds = (row.window_end - row.window_start) / MICROSECONDS
        page.set(f"{prefix}_window_duration_seconds", seconds, **labels)


def exposition(collector: MonitorCollector) -> Callable[[str], tuple[bytes, str]]:
    """Return a function from an ``Accept`` header to a page and its content type."""
    from prometheus_client.exposition import choose_encoder

    process = ProcessCollector(registry=None)
    kept: dict[str, tuple[Snapshot, bytes]] = {}  # by content type, of which there are a few

    def page(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        snapshot = collector.snapshot()
        known = kept.get(content_type)
        if known is None or known[0] is not snapshot:  # results of thousands of columns take longest to write
            known = kept[content_type] = snapshot, encode(_Part(collector.results(snapshot)))
        live = encode(_Part([*collector.live(snapshot), *process.collect()]))
        return known[1].removesuffix(_OPENMETRICS_END) + live, content_type

    return page


class _Part(CollectorRegistry):
    """A part of a page, as the encoders take it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__(auto_describe=False)
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _first_due_us(status: VersionStatus, check: str) -> int:
    """Return when a check could first run: all but the report and performance wait for a reference."""
    waits = check not in (report_job.NAME, performance_job.NAME)
    made_at_us = status.reference.made_at_us if status.reference and waits else 0
    return max(status.version.first_served_at_us, made_at_us)


def _seconds(at_us: int | None) -> float:
    """Return the time in seconds; 0 means never."""
    return (at_us or 0) / MICROSECONDS


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
