"""What became of labels is on the monitor's page of metrics, and the job that matches them leaves its mark."""

from dataclasses import replace

from label_rig import about, load, load_requests, request
from prometheus_client.parser import text_string_to_metric_families

from driftline.monitor.jobs import labels_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.status import StatusReader
from driftline.store.metric_catalogue import catalogue_mismatches
from driftline.store.records import now_us


def test_fates_are_counted_by_model_and_those_that_wait_are_matched_by_the_job(sqlite_context: JobContext) -> None:
    context, one = sqlite_context, request((1, "a"), (2, "b"))
    load_requests(context.engine, context.home, one)
    late = request((3, "c"))
    load(context.engine, [about(one, 1, row=0), about(one, 0, row=5), about(late, 1), "nonsense"])
    found = page(context)
    assert found["driftline_monitor_labels_pending", "", ""] == 1
    assert {key[1:]: value for key, value in found.items() if key[0] == "driftline_monitor_labels_total"} == {
        ("buys", "stored"): 1, ("buys", "no_such_row"): 1, ("", "pending"): 1, ("", "malformed"): 1
    }  # fmt: skip
    load_requests(context.engine, context.home, late)
    report = labels_job.run(at_time(context, now_us() + 3600_000_000))
    assert not report.failed
    assert "1 stored" in str(report)
    found = page(context)
    assert found["driftline_monitor_labels_pending", "", ""] == 0
    assert found["driftline_monitor_labels_total", "buys", "stored"] == 2


def page(context: JobContext) -> dict[tuple[str, str, str], float]:
    status = StatusReader(context)
    collector = MonitorCollector(status, Schedule(context, status.expire), context.monitor, context.drift.min_rows)
    text = exposition(collector)("*/*")[0].decode()
    families = list(text_string_to_metric_families(text))
    assert not [wrong for wrong in catalogue_mismatches("monitor", families) if "labels" in wrong]
    return {
        (s.name, s.labels.get("model_name", ""), s.labels.get("fate", "")): s.value
        for family in families
        for s in family.samples
        if s.name.startswith("driftline_monitor_labels_")
    }


def at_time(context: JobContext, now: int) -> JobContext:
    return replace(context, clock=lambda: now)
