import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
import servers
from monitor_rig import MINUTE_US, TinyModel, at, rows, save_reference, send
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from driftline.monitor.jobs import drift_job, retention_job
from driftline.monitor.jobs.job import JobContext, JobReport, Outcome
from driftline.monitor.jobs.schedule import Job, Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.rows.results import Result
from driftline.monitor.status import StatusReader
from driftline.store import schema
from driftline.store.metric_catalogue import catalogue_mismatches
from driftline.store.records import MICROSECONDS, now_us

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def page(context: JobContext, accept: str = "*/*") -> tuple[str, str]:
    """One scrape of a monitor that starts now: nothing is kept from before."""
    status = StatusReader(context)
    collector = MonitorCollector(status, Schedule(context, status.expire), context.monitor, context.drift.min_rows)
    body, content_type = exposition(collector)(accept)
    return body.decode(), content_type


def samples(context: JobContext) -> Samples:
    text, _ = page(context)
    return {
        (s.name.removeprefix("driftline_monitor_"), frozenset(s.labels.items())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    """Return the value of the one series with these labels among its own."""
    matching = [v for (n, known), v in found.items() if n == name and labels.items() <= dict(known).items()]
    assert len(matching) <= 1, f"{name} {labels} means {len(matching)} series"
    return matching[0] if matching else None


@pytest.fixture
def judged(context: JobContext, tiny: TinyModel) -> JobContext:
    """A context whose drift job has seen a shifted column."""
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2, income=1.0))
    drift_job.run(context)
    return context


def test_score_threshold_verdict_and_size_stand_side_by_side(judged: JobContext) -> None:
    found = samples(judged)
    score = value(found, "feature_drift_score", feature="income", method="wasserstein", model_version="1")
    threshold = value(found, "feature_drift_threshold", feature="income", method="wasserstein")
    assert score is not None
    assert threshold is not None
    assert score > threshold > 0
    drifted = {f: value(found, "feature_drift_detected", feature=f) for f in ("age", "income", "tenure")}
    assert drifted == {"age": 0, "income": 1, "tenure": 0}
    assert value(found, "window_rows", dataset="current") == 1_500
    assert value(found, "window_rows", dataset="reference") == 3_000
    assert value(found, "window_min_rows") == judged.drift.min_rows
    assert value(found, "drift_share_ratio") == pytest.approx(1 / 3)
    assert value(found, "drift_detected", scope="dataset") == 1
    assert value(found, "drift_consecutive_windows", scope="dataset") == 1
    for side, column in (("feature", "income"), ("prediction", "prediction")):
        label = {"feature": column} if side == "feature" else {"output": column}
        assert value(found, f"{side}_drift_score", **label) is not None
        assert value(found, f"{side}_drift_threshold", **label) is not None
        assert value(found, f"{side}_drift_detected", **label) is not None
        assert value(found, f"{side}_window_rows", **label) == 1_500
        assert value(found, f"{side}_window_duration_seconds", **label) in judged.drift.spans()
    since = value(found, "drift_since_timestamp_seconds", scope="dataset")
    assert since == value(found, "window_end_timestamp_seconds")
    assert value(found, "reference_info", source="training rows", model_version="1") == 1
    assert value(found, "feature_missing_ratio", feature="age", dataset="current") == 0
    assert value(found, "feature_unexpected_ratio", feature="age", kind="out_of_range") is not None


def test_bins_are_series_only_where_they_are_asked_for(judged: JobContext) -> None:
    assert not [name for name, _ in samples(judged) if name.endswith("bin_ratio")]
    asked = replace(judged, monitor=replace(judged.monitor, export_bins=True, max_features=2))
    found = samples(asked)
    shown = {dict(labels).get("feature") or dict(labels)["output"] for n, labels in found if n.endswith("bin_ratio")}
    assert shown == {"age", "income", "prediction"}
    current = [v for (n, labels), v in found.items() if n == "feature_bin_ratio" and {("feature", "income"),
               ("dataset", "current")} <= labels]  # fmt: skip
    assert sum(current) == pytest.approx(1)
    families = list(text_string_to_metric_families(page(asked)[0]))
    assert not [wrong for wrong in catalogue_mismatches("monitor", families) if "bin_ratio" in wrong]


def test_the_page_says_when_it_was_read_from_the_store(judged: JobContext) -> None:
    read_at = value(samples(judged), "results_read_timestamp_seconds")
    assert read_at is not None
    assert 0 <= now_us() / MICROSECONDS - read_at < 60


def test_a_monitor_tells_of_its_own_process(sqlite_context: JobContext) -> None:
    text, _ = page(sqlite_context)
    assert "process_resident_memory_bytes" in text


def test_job_clocks_say_when_a_job_ran_and_how_often_it_should(judged: JobContext) -> None:
    found = samples(judged)
    attempt = value(found, "job_last_attempt_timestamp_seconds", check="drift")
    success = value(found, "job_last_success_timestamp_seconds", check="drift")
    assert attempt is not None
    assert success is not None
    assert 0 <= now_us() / MICROSECONDS - attempt < 60
    assert success >= attempt
    assert value(found, "job_interval_seconds", check="drift") == 300
    assert value(found, "job_interval_seconds", check="report") == 7 * 86_400
    assert value(found, "job_last_success_timestamp_seconds", check="report") == 0
    assert value(found, "job_consecutive_failures", check="drift") == 0


def run_jobs(context: JobContext, *found: tuple[str, JobReport | Exception]) -> str:
    """The OpenMetrics page of a monitor whose jobs have ended so."""
    status = StatusReader(context)
    schedule = Schedule(context, status.expire)

    def ending(report: JobReport | Exception) -> Callable[[JobContext], JobReport]:
        def run(_: JobContext) -> JobReport:
            if isinstance(report, Exception):
                raise report
            return report

        return run

    schedule._leadership._turn()
    try:
        for name, report in found:
            schedule._run(Job(name, ending(report), None, 1.0, at_start=False))
        collector = MonitorCollector(status, schedule, context.monitor, context.drift.min_rows)
        return exposition(collector)(PROMETHEUS_3)[0].decode()
    finally:
        schedule._leadership.stop()


def test_a_jobs_duration_leads_to_the_mlflow_run_that_it_made(judged: JobContext) -> None:
    made = JobReport("report", 0.0, {"tiny/1": Outcome(Result.SUCCESS, "made", "abc123")})
    families = parse_openmetrics(run_jobs(judged, ("report", made), ("report", RuntimeError("broken"))))
    found = [s for f in families for s in f.samples if s.labels.get("check") == "report"]
    runs = {s.name: s for s in found if s.name.startswith("driftline_monitor_job_duration_seconds")}
    assert runs["driftline_monitor_job_duration_seconds_count"].value == 2
    exemplars = [s.exemplar for s in found if s.exemplar]
    assert [e.labels for e in exemplars] == [{"mlflow_run_id": "abc123"}]


def test_a_run_that_cannot_begin_is_counted_without_a_model(judged: JobContext) -> None:
    families = parse_openmetrics(run_jobs(judged, ("drift", RuntimeError("the store is away"))))
    errors = {s.labels["model_name"]: s.value for f in families for s in f.samples if s.name.endswith("job_runs_total")
              and (s.labels["check"], s.labels["result"]) == ("drift", "error")}  # fmt: skip
    assert errors == {"": 1, "tiny": 0}


def test_the_retention_jobs_clock_is_about_no_model(judged: JobContext) -> None:
    assert value(samples(judged), "job_last_success_timestamp_seconds", check="retention") == 0
    retention_job.run(judged)
    found = samples(judged)
    success = value(found, "job_last_success_timestamp_seconds", check="retention", model_name="")
    assert success is not None
    assert 0 <= now_us() / MICROSECONDS - success < 60
    assert value(found, "job_interval_seconds", check="retention") == 3600
    assert value(found, "job_consecutive_failures", check="retention") == 0


def test_a_window_without_enough_rows_has_no_verdict_on_the_page(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(50, seed=2))
    drift_job.run(sqlite_context)
    found = samples(sqlite_context)
    assert value(found, "window_rows", dataset="current") == 50
    for name in ("feature_drift_score", "feature_drift_detected", "drift_detected", "drift_share_ratio"):
        assert not [n for n, _ in found if n == name]


def test_a_retired_version_vanishes_and_the_new_one_stays(sqlite_context: JobContext, tiny: TinyModel) -> None:
    now = now_us()
    for version, hours in (("1", 0), ("2", 30)):
        built = tiny.named("tiny", version)
        save_reference(sqlite_context, built)
        send(sqlite_context, built.identity, rows(600, seed=2), at_us=now + hours * 60 * MINUTE_US)
        drift_job.run(at(sqlite_context, now + hours * 60 * MINUTE_US + MINUTE_US))
    then = {dict(labels)["model_version"] for n, labels in samples(at(sqlite_context, now + 20 * 60 * MINUTE_US))
            if n == "feature_drift_score"}  # fmt: skip
    later = {dict(labels)["model_version"] for n, labels in samples(at(sqlite_context, now + 31 * 60 * MINUTE_US))
             if n == "feature_drift_score"}  # fmt: skip
    assert then == {"1", "2"}
    assert later == {"2"}


def test_features_over_the_limit_are_counted_not_shown(judged: JobContext) -> None:
    found = samples(replace(judged, monitor=replace(judged.monitor, max_features=1)))
    assert {dict(labels)["feature"] for n, labels in found if n == "feature_drift_score"} == {"age"}
    states = {state: value(found, "features", state=state) for state in ("monitored", "drifted", "dropped")}
    assert states == {"monitored": 1, "drifted": 1, "dropped": 2}


def test_a_hostile_column_name_is_a_label_like_another(sqlite_context: JobContext, tiny: TinyModel) -> None:
    built = tiny.named('a"b\\c\nd{}')
    save_reference(sqlite_context, built)
    drift_job.run(sqlite_context)
    assert value(samples(sqlite_context), "window_rows", model_name='a"b\\c\nd{}', dataset="reference") == 3_000


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PROMETHEUS_3, "application/openmetrics-text"),
        ("text/plain;version=0.0.4", "text/plain"),
        ("*/*", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_the_scraper_gets_the_format_that_it_asks_for(judged: JobContext, accept: str, content_type: str) -> None:
    text, found = page(judged, accept)
    assert found.startswith(content_type)
    parse = parse_openmetrics if content_type.startswith("application") else text_string_to_metric_families
    assert len(list(parse(text))) > 20
    assert "_created" not in text


@pytest.mark.prometheus
def test_promtool_finds_nothing_to_mend(judged: JobContext) -> None:
    promtool = servers.require("promtool")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page(judged)[0], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_page_and_the_catalogue_agree(judged: JobContext) -> None:
    status = StatusReader(judged)
    schedule = Schedule(judged, status.expire)
    schedule.mlflow_up = True
    scrape = exposition(MonitorCollector(status, schedule, judged.monitor, judged.drift.min_rows))
    families = list(text_string_to_metric_families(scrape("")[0].decode()))
    assert catalogue_mismatches("monitor", families) == []


def test_results_are_written_anew_when_they_change_and_not_before(sqlite_context: JobContext, tiny: TinyModel) -> None:
    status = StatusReader(sqlite_context)
    schedule = Schedule(sqlite_context, status.expire)
    collector = MonitorCollector(status, schedule, sqlite_context.monitor, sqlite_context.drift.min_rows)
    scrape = exposition(collector)
    save_reference(sqlite_context, tiny)
    first, before = status.snapshot(), scrape("")[0]
    status.expire()
    assert status.snapshot() is first
    send(sqlite_context, tiny, rows(1_500, seed=2, income=1.0))
    drift_job.run(sqlite_context)
    status.expire()
    after = scrape("")[0]
    assert b'feature="income"' not in before
    assert b'feature="income"' in after
    assert status.snapshot() is not first


def test_a_store_that_does_not_answer_leaves_the_last_results_on_show(judged: JobContext) -> None:
    status = StatusReader(judged)
    schedule = Schedule(judged, status.expire)
    scrape = exposition(MonitorCollector(status, schedule, judged.monitor, judged.drift.min_rows))
    assert 'dependency_up{dependency="store"} 1.0' in scrape("")[0].decode()
    with judged.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE job_run RENAME TO job_run_gone")
    status.expire()
    after = scrape("")[0].decode()
    assert 'dependency_up{dependency="store"} 0.0' in after
    assert 'feature="income"' in after


def test_jobs_that_need_a_reference_are_due_from_when_there_is_one(judged: JobContext) -> None:
    week_ago, day_ago = (now_us() - days * 86_400 * MICROSECONDS for days in (7, 1))
    with judged.engine.begin() as connection:
        connection.execute(update(schema.model_version).values(first_served_at=week_ago))
        connection.execute(update(schema.reference).values(made_at=day_ago))
    found = samples(judged)
    for check, due_us in (("drift", day_ago), ("quality", day_ago), ("multivariate", day_ago), ("report", week_ago)):
        assert value(found, "job_registered_timestamp_seconds", check=check) == due_us / MICROSECONDS, check
