"""Gauges of data quality and of all inputs together, beside those of single columns."""

import pytest
from monitor_rig import TinyModel, rows, save_reference, send
from prometheus_client.parser import text_string_to_metric_families

from driftline.monitor.jobs import multivariate_job, quality_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.status import StatusReader
from driftline.store.metric_catalogue import catalogue_mismatches

pytestmark = pytest.mark.thorough


def others(labels: dict[str, str]) -> list[str]:
    """Return the values of the labels that name no model, in the order of their names."""
    return [labels[name] for name in sorted(labels) if "model" not in name]


def test_findings_stand_on_the_page_as_the_catalogue_says(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    frame = rows(1_500, seed=2).assign(tenure=0.5)
    frame.loc[:50, "age"] = -99.0
    send(sqlite_context, tiny, frame)
    quality_job.run(sqlite_context)
    multivariate_job.run(sqlite_context)
    status = StatusReader(sqlite_context)
    collector = MonitorCollector(status, Schedule(sqlite_context, status.expire), sqlite_context.monitor, 100)
    families = list(text_string_to_metric_families(exposition(collector)("")[0].decode()))
    wrong = [said for said in catalogue_mismatches("monitor", families) if "not on the page" not in said]
    assert wrong == []
    found = {
        (sample.name.removeprefix("driftline_monitor_"), *others(sample.labels)): sample.value
        for family in families
        for sample in family.samples
    }
    assert found["quality_breaches", "constant"] == 1
    assert found["quality_breaches", "missing"] == 0
    assert found["feature_quality_breached", "tenure", "constant"] == 1
    assert found["feature_quality_breached", "age", "out_of_range"] == 1
    assert found["feature_quality_breached", "income", "out_of_range"] == 0
    assert found["duplicate_rows_ratio", "current"] == 0
    assert found["multivariate_drift_detected",] == 1
    assert found["multivariate_drift_score",] == pytest.approx(1, abs=0.1)
    assert found["multivariate_window_rows",] == 1_500
    assert found["job_interval_seconds", "multivariate"] == 3600
