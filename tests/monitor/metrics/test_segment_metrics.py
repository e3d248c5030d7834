"""Gauges by segment: bounded labels, one meaning each, nothing without a verdict."""

from dataclasses import replace
from functools import partial

import pandas as pd
from monitor_rig import TinyModel, at, rows, save_reference, send
from prometheus_client.parser import text_string_to_metric_families

from driftline.monitor.jobs import segments_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.status import StatusReader
from driftline.store.metric_catalogue import catalogue_mismatches
from driftline.store.profile_levels import HOUR_US
from driftline.store.records import now_us
from driftline.store.segments.settings import SegmentSettings

NOW = now_us() // HOUR_US * HOUR_US
ask = partial(send, answers=lambda part: part["age"] - 2 * part["income"])  # as the model would answer


def test_segments_stand_on_the_page_as_the_catalogue_says(sqlite_context: JobContext, tiny: TinyModel) -> None:
    settings = SegmentSettings(columns=("age:0:1.5",))
    context = at(replace(sqlite_context, segments=settings), NOW + 10 * 60 * 1_000_000)
    save_reference(context, tiny)
    frame = rows(1_000, seed=2)
    few = frame[frame["age"] >= 1.5][:20]
    moved = frame[frame["age"] < 0].assign(income=lambda low: low["income"] + 1)
    ask(context, tiny, pd.concat([moved, frame[frame["age"].between(0, 1.4)], few]), NOW - HOUR_US // 2)
    segments_job.run(context)
    status = StatusReader(context)
    collector = MonitorCollector(status, Schedule(context, status.expire), context.monitor, 100)
    families = list(text_string_to_metric_families(exposition(collector)("")[0].decode()))
    assert [said for said in catalogue_mismatches("monitor", families) if "not on the page" not in said] == []
    found = {
        (sample.name.removeprefix("driftline_monitor_segment_"), sample.labels["segment"]): sample.value
        for family in families
        for sample in family.samples
        if "segment" in sample.labels
    }
    assert (found["drift_detected", "below 0"], found["drift_detected", "0 to 1.5"]) == (1, 0)
    assert found["drift_score_ratio", "below 0"] > 1 > found["drift_score_ratio", "0 to 1.5"]
    assert 0 < found["drift_share_ratio", "below 0"] <= 1
    assert found["window_rows", "from 1.5"] == 20
    assert ("drift_detected", "from 1.5") not in found
    assert found["window_end_timestamp_seconds", "below 0"] == NOW / 1_000_000
    jobs = [s for f in families for s in f.samples if s.name == "driftline_monitor_job_interval_seconds"]
    assert "segments" in {sample.labels["check"] for sample in jobs}
