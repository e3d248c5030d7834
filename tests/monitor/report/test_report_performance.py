"""Performance in reports: what the command says, of the report's own window, whether or not a monitor ever ran."""

import json
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from monitor_rig import at
from performance_rig import COINS, HOUR_US, answer, coins, identity, label, save_coins_reference, tensor
from sklearn.metrics import accuracy_score
from sqlalchemy import Connection

from driftline.cli.main import root
from driftline.monitor.jobs import performance_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.performance.hour import LabelledHour
from driftline.monitor.performance.task import Task, TaskKind
from driftline.monitor.performance_now import performance_now
from driftline.monitor.report.compose import compose
from driftline.monitor.report.mlflow_metrics import report_metrics
from driftline.monitor.report.summary_page import render
from driftline.monitor.rows.performance_rows import Progress, save_hours
from driftline.monitor.rows.segment_performance_rows import SegmentProgress, save_segment_hours
from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.labels.changes import ChangedHour
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.records import Arm, now_us

MINUTE_US = 60_000_000
NOW = 1_795_000_000_000_000 // HOUR_US * HOUR_US


@pytest.mark.thorough
def test_without_a_monitor_page_json_and_metrics_say_what_the_command_says(
    context: JobContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save_coins_reference(context)
    answers, labels = coins(2, 600)
    worse = np.where(np.random.default_rng(0).random(600) < 0.3, 1 - labels, labels)
    frame, at_us = pd.DataFrame({"a": np.zeros(600)}), now_us() - 30 * HOUR_US
    places = answer(context, COINS, frame, answers, at_us)
    answer(context, COINS, frame, 1 - answers, at_us + 1, Arm.SHADOW, ids=places)
    label(context, places[:503], [*worse[:500], 7, 7, 7], at_us + HOUR_US)
    monkeypatch.setenv("DRIFTLINE_STORE", context.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("DRIFTLINE_HOME", str(context.home))
    monkeypatch.setenv("DRIFTLINE_MULTIVARIATE_ENABLED", "false")  # a process of its own, which takes seconds

    def run(*arguments: object) -> str:
        return CliRunner().invoke(root, [str(a) for a in arguments], catch_exceptions=False).stdout

    run("report", "coins", "--since", "7d", "--html", tmp_path / "page.html", "--json", tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    told = json.loads(run("performance", "coins", "--since", "7d", "--json"))
    assert content["jobs"]["performance"]["runs"] == 0
    assert [bare(arm["performance"]) for arm in content["arms"]] == [bare(arm["metrics"]) for arm in told["arms"]]
    assert [arm["labels"]["unusable"] for arm in content["arms"]] == [a["labels"]["unusable"] for a in told["arms"]]
    realised, estimated = by_metric(content)
    accuracy = realised["accuracy"]
    assert accuracy["value"] == pytest.approx(accuracy_score(worse[:500], answers[:500, 1] >= 0.5))
    assert (accuracy["verdict"], accuracy["labelled_rows"], accuracy["window"]["rows"]) == ("breach", 500, 600)
    assert accuracy["low"] < accuracy["value"] < accuracy["threshold"] < accuracy["reference"]
    assert (estimated["accuracy"]["verdict"], estimated["accuracy"]["window"]["rows"]) == ("ok", 600)
    assert content["arms"][0]["labels"]["unusable"]["by_reason"] == {"label_class": 3}
    metrics = report_metrics(content)
    assert metrics["performance/accuracy"] == accuracy["value"]
    assert metrics["performance_low/roc_auc"] < metrics["performance/roc_auc"] < metrics["performance_high/roc_auc"]
    assert metrics["performance_estimated/roc_auc"] == estimated["roc_auc"]["value"]
    assert metrics["shadow/performance.accuracy"] == pytest.approx(1 - accuracy["value"], abs=0.01)
    page = (tmp_path / "page.html").read_text()
    section = page[page.index('id="performance"') : page.index('id="quality"')]
    for said in (
        "500 of 600", "is below", "realised", "estimated without labels",
        "83.8 % of the 600 predictions whose labels are due have one. 3 labelled rows do not count: 3 with a label of",
        "With the labels that had come when the report was made.",
    ):  # fmt: skip
        assert said in section
    assert "realised, from" not in section


def bare(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Metrics but for their window's limits: the command's ends with the hour, a report's when it is made."""
    return [{**metric, "window": metric["window"]["rows"]} for metric in metrics]


def by_metric(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the first arm's realised metrics and its estimated ones, by their names."""
    found = content["arms"][0]["performance"]
    realised, estimated = ({m["metric"]: m for m in found if m["estimated"] is side} for side in (False, True))
    return realised, estimated


def test_a_report_counts_its_own_rows_and_every_label_that_came_whatever_the_job_found(
    sqlite_context: JobContext,
) -> None:
    context = replace(sqlite_context, multivariate=MultivariateSettings(enabled=False))
    start = NOW - 50 * HOUR_US + 30 * MINUTE_US
    end = start + 40 * HOUR_US  # inside an hour, long ago
    save_coins_reference(context)
    answers, _ = coins(5, 200)
    right = (answers[:, 1] >= 0.5).astype(int)
    late = []
    for at_us, is_right in ((start - MINUTE_US, False), (start, True), (end - MINUTE_US, True), (end, False)):
        places = answer(context, COINS, pd.DataFrame({"a": np.zeros(200)}), answers, at_us)
        truth = right if is_right else 1 - right
        label(context, places[:150], truth[:150], at_us + MINUTE_US)
        late.append((places[150:], truth[150:], at_us + MINUTE_US))
    performance_job.run(at(context, end))
    for each in late:
        label(context, *each)
    (version,) = at(context, NOW).watched()
    content = compose(at(context, NOW), version, (start, end)).content
    accuracy = by_metric(content)[0]["accuracy"]
    assert (accuracy["value"], accuracy["labelled_rows"], accuracy["window"]["rows"]) == (1.0, 400, 400)
    within_an_hour = performance_now(at(context, NOW), version, (end - 2 * MINUTE_US, end)).metrics(Arm.CHAMPION)
    assert {each.labelled_rows for each in within_an_hour if not each.estimated} == {200}
    # What an earlier release kept says what it was: the job's last finding.
    del content["arms"][0]["labels"]
    assert "As last judged in this window; rows and labels that came later are not in it." in render(content)


def test_what_the_labels_mean_that_cannot_be_told_is_a_note_with_the_setting_that_tells_it(
    sqlite_context: JobContext,
) -> None:
    texts = identity("texts", ["a"], tensor(-1, 2))
    answers, labels = coins(6, 150)
    places = answer(sqlite_context, texts, pd.DataFrame({"a": np.zeros(150)}), answers, NOW - HOUR_US)
    label(sqlite_context, places, np.where(labels == 1, "left", "stayed"), NOW)
    then = at(sqlite_context, NOW + 48 * HOUR_US)
    (version,) = then.watched()
    content = compose(then, version, (NOW - 24 * HOUR_US, NOW)).content
    assert content["arms"][0]["performance"] == []
    assert content["arms"][0]["labels"]["share"] == 1.0
    assert [note for note in content["notes"] if note.startswith("performance: ") and "positive_label" in note]
    page = render(content)
    assert "No performance was judged of this window, though there are labels." in page
    assert "needs labels" not in page
    told = replace(then, performance=replace(then.performance, positive_label="left"))
    accuracy = by_metric(compose(told, version, (NOW - 24 * HOUR_US, NOW)).content)[0]["accuracy"]
    assert (accuracy["labelled_rows"], accuracy["verdict"]) == (150, "no verdict")  # there is no reference


@pytest.mark.parametrize("by_segment", [False, True])
def test_two_that_count_the_same_hours_at_once_follow_each_other(context: JobContext, by_segment: bool) -> None:
    with writing(context.engine) as connection:
        version = ensure_model_version(connection, COINS)
    hour, counted, failed = ChangedHour(0, NOW), LabelledHour(rows=3), []

    def write(connection: Connection) -> None:
        if by_segment:
            progress = SegmentProgress(1, Task(TaskKind.REGRESSION))
            save_segment_hours(connection, version.id, "plan", {hour: {"basic": counted}}, progress, anew=False)
        else:
            save_hours(connection, version.id, {hour: counted}, Progress(1, None, "settings"), anew=False)

    def save() -> None:
        try:
            with writing(context.engine) as connection:
                write(connection)
        except Exception as error:
            failed.append(error)

    other = Thread(target=save)
    with writing(context.engine) as connection:
        write(connection)
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join(60)
    assert failed == []
    with context.engine.connect() as connection:
        kept = schema.segment_performance_hour if by_segment else schema.performance_hour
        assert len(connection.execute(kept.select()).all()) == 1
