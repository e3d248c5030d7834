"""Performance and labels on the page of metrics, and the same numbers from the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from performance_rig import HOUR_US, answer, identity, label, tensor
from prometheus_client.parser import text_string_to_metric_families
from sklearn.metrics import mean_absolute_error, r2_score

from driftline.cli.main import root
from driftline.monitor.jobs import performance_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.metrics.collector import MonitorCollector, exposition
from driftline.monitor.status import StatusReader
from driftline.store.metric_catalogue import catalogue_mismatches
from driftline.store.records import now_us


def test_page_and_command_line_say_what_scikit_learn_says_of_the_rows(
    sqlite_context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, rng = sqlite_context, np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300)})
    predicted, truth = frame["x"].to_numpy() * 2, frame["x"].to_numpy() * 2 + rng.normal(size=300)
    at_us = now_us() - 30 * HOUR_US
    places = answer(context, identity("price", ["x"], tensor(-1)), frame, predicted, at_us)
    label(context, places[:203], [*truth[:200], *[1e200] * 3], at_us + 2 * HOUR_US)
    performance_job.run(context)

    status = StatusReader(context)
    collector = MonitorCollector(status, Schedule(context, status.expire), context.monitor, 100)
    families = list(text_string_to_metric_families(exposition(collector)("")[0].decode()))
    assert [said for said in catalogue_mismatches("monitor", families) if "not on the page" not in said] == []
    found = {
        (s.name.removeprefix("driftline_monitor_"), s.labels.get("metric", s.labels.get("until", ""))): s.value
        for family in families
        for s in family.samples
    }
    assert found["performance_score", "mae"] == pytest.approx(mean_absolute_error(truth[:200], predicted[:200]))
    assert found["performance_score", "r2"] == pytest.approx(r2_score(truth[:200], predicted[:200]))
    assert found["performance_low", "mae"] < found["performance_score", "mae"] < found["performance_high", "mae"]
    assert ("performance_breached", "mae") not in found  # there is no reference
    assert found["label_coverage_ratio", ""] == pytest.approx(203 / 300)
    assert found["labels_last_event_timestamp_seconds", ""] == pytest.approx((at_us + 2 * HOUR_US) / 1e6)
    assert found["label_delay_seconds", "event"] == pytest.approx(7200, rel=0.06)

    monkeypatch.setenv("DRIFTLINE_STORE", context.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("DRIFTLINE_HOME", str(context.home))
    told = json.loads(CliRunner().invoke(root, ["performance", "price", "--json"], catch_exceptions=False).stdout)
    (arm,) = told["arms"]
    assert {m["metric"]: m["value"] for m in arm["metrics"]}["mae"] == found["performance_score", "mae"]
    assert arm["labels"]["labelled_rows"] == 203
    assert arm["labels"]["unusable"]["by_reason"] == {"label_number": 3}
    table = CliRunner().invoke(root, ["performance", "price"], catch_exceptions=False).stdout
    assert "champion: labels of 203 of 300 predictions that are due (67.7 %)" in table
    assert "\n3 labelled rows do not count: 3 with a label that is no number up to 1e70\n" in table
    assert "200/300" in table
