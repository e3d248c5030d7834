from dataclasses import replace
from typing import Any

import orjson
import pytest
from monitor_rig import TinyModel, at, rows, save_reference, send
from report_rig import without_sample
from sqlalchemy import insert, select

from driftline.monitor.beyond_columns_document import quality_document
from driftline.monitor.jobs import multivariate_job, quality_job, segments_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.report.arm_findings import find_arm
from driftline.monitor.report.compose import compose
from driftline.monitor.report.drift_report import EVIDENTLY, EVIDENTLY_JSON, QUALITY, QUALITY_JSON
from driftline.monitor.report.mlflow_metrics import report_metrics
from driftline.monitor.report.summary_page import render
from driftline.monitor.report.window_checks import check_window
from driftline.monitor.report.wording import headline
from driftline.monitor.rows.quality_rows import newest_findings
from driftline.monitor.watch import WatchedVersion
from driftline.store import schema
from driftline.store.profile_levels import HOUR_US
from driftline.store.records import Arm, now_us
from driftline.store.segments.settings import SegmentSettings

pytestmark = pytest.mark.thorough


def label_all(context: JobContext, version: WatchedVersion) -> None:
    """Give every stored row a label near its prediction."""
    t = version.stored.table.c
    with context.engine.begin() as connection:
        found = connection.execute(select(t.invocation_id, t.row_index, t.out_prediction)).all()
        labels = [
            {
                "invocation_id": i,
                "row_index": row,
                "value": repr(value + 0.4 + n % 2 / 5),
                "event_at": 1,
                "received_at": 1,
            }
            for n, (i, row, value) in enumerate(found)
        ]
        connection.execute(insert(schema.label), labels)


def test_a_report_holds_every_arm_evidently_and_the_quality_of_labelled_predictions(
    context: JobContext, tiny: TinyModel
) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(600, seed=2, income=1.0))
    send(context, tiny, rows(300, seed=3), arm=Arm.SHADOW)
    (version,) = context.watched()
    label_all(context, version)
    now, steps = now_us(), []
    report = compose(context, version, (now - HOUR_US, now), progress=steps.append)
    content = report.content
    assert [(a["arm"], a["rows"], a["verdict"]) for a in content["arms"]] == [
        ("champion", 600, "drift"), ("shadow", 300, "no drift"),
    ]  # fmt: skip
    first = content["arms"][0]["columns"][0]
    assert (first["column"], first["verdict"]) == ("income", "drift")
    assert first["picture"]["window"] != first["picture"]["reference"]
    assert set(report.files) == {EVIDENTLY, EVIDENTLY_JSON, QUALITY, QUALITY_JSON}
    drifted = {m["config"]["column"]: m["value"] for m in orjson.loads(report.files[EVIDENTLY_JSON])["metrics"]
               if m["config"]["type"].endswith(":ValueDrift")}  # fmt: skip
    assert drifted["income"] < 0.01 < drifted["age"]  # p-values: Evidently's choice up to 1,000 rows of reference
    quality = orjson.loads(report.files[QUALITY_JSON])["metrics"]
    error = next(m["value"] for m in quality if m["config"]["type"].endswith(":MAE"))
    assert abs(error["mean"] - 0.5) < 0.02
    assert content["sample"] | {"rows": 600, "share": 1.0, "labelled_rows": 600} == content["sample"]
    assert (content["notes"], content["left_out"]) == ([], {})
    assert content["accounts"]["balanced"]
    assert steps[-1] == "comparing with the reports before"
    assert [(a["multivariate"]["verdict"], a["multivariate"]["window"]["rows"]) for a in content["arms"]] == [
        ("drift", 600), ("no drift", 300),
    ]  # fmt: skip
    assert report_metrics(content)["all_inputs_auc"] > 0.55


def test_checks_are_of_the_reports_own_window_and_the_monitors_last_stands_in_for_one_that_fails(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    now, context = now_us(), sqlite_context
    save_reference(context, tiny)
    send(context, tiny, rows(600, seed=2, income=9.0), at_us=now - 72 * HOUR_US)
    send(context, tiny, rows(400, seed=3))
    quality_job.run(context)
    multivariate_job.run(context)
    (version,) = context.watched()
    window, steps = (now - 7 * 24 * HOUR_US, now_us()), []
    with context.engine.connect() as connection:
        last = newest_findings(connection, version.id, Arm.CHAMPION, window)
        found = find_arm(context, connection, version, Arm.CHAMPION, window)
    assert "income" not in breaches(quality_document(last))
    checked, failures = check_window(context, found, window, steps.append)
    assert failures == []
    assert breaches(checked["quality"])["income"] == ("out_of_range", 1_000)
    together = checked["multivariate"]
    assert (together["verdict"], together["window"]["rows"]) == ("drift", 1_000)
    assert next(iter(together["columns"])) == "income"
    assert steps == ["checking the quality of 1,000 rows", "checking all inputs together"]

    hasty = replace(context, multivariate=MultivariateSettings(timeout_seconds=0.01))
    checked, failures = check_window(hasty, found, window, steps.append)
    assert failures[0].startswith("all inputs together: the multivariate check took more than 0 s: lower sample_rows")
    assert checked["multivariate"]["window"]["rows"] == 400
    never = replace(context, multivariate=MultivariateSettings(enabled=False))
    assert check_window(never, found, window, steps.append)[0]["multivariate"] is None


def breaches(quality: list[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    """Return kind and rows of what fails, by column."""
    return {f["column"]: (f["kind"], f["window"]["rows"]) for f in quality if f["verdict"] == "breach"}


def test_the_sample_is_bounded_and_always_the_same(sqlite_context: JobContext, tiny: TinyModel) -> None:
    from driftline.monitor.report.samples import draw_window
    from driftline.monitor.settings import ReportSettings

    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(900, seed=2, tenure=2.0))
    (version,) = sqlite_context.watched()
    window = (now_us() - HOUR_US, now_us())
    with sqlite_context.engine.connect() as connection:
        found = find_arm(sqlite_context, connection, version, Arm.CHAMPION, window)
        settings = ReportSettings(sample_rows=120, evidently_columns=2)
        first, again = (draw_window(connection, version, found, window, settings) for _ in range(2))
    assert len(first.rows) == 120
    assert first.rows.equals(again.rows)
    assert [c.name for c in first.columns] == ["tenure", "prediction"]
    assert first.left_out == dict.fromkeys(["age", "income"], "beyond the 2 columns that drifted most")


def test_a_report_appears_without_rows_without_a_sample_and_without_a_reference(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    now = now_us()
    send(sqlite_context, tiny, rows(200, seed=2))
    (version,) = sqlite_context.watched()
    bare = compose(sqlite_context, version, (now - HOUR_US, now_us()))
    assert bare.verdict == "no reference"
    assert bare.content["window"]["rows"] == 200
    assert "driftline reference build models:/tiny/1" in bare.content["notes"][0]
    save_reference(sqlite_context, tiny)
    empty = compose(sqlite_context, version, (0, HOUR_US))
    assert empty.verdict == "no rows"
    assert "it holds no rows" in empty.content["notes"][0]
    without_sample(sqlite_context)
    unsampled = compose(sqlite_context, version, (now - HOUR_US, now_us()))
    assert unsampled.verdict in ("no drift", "insufficient data")
    assert "the sample of the reference is neither in" in unsampled.content["notes"][0]
    assert not unsampled.files


def test_segments_are_told_as_they_were_last_judged_in_the_window(sqlite_context: JobContext, tiny: TinyModel) -> None:
    end = now_us() // HOUR_US * HOUR_US
    context = at(replace(sqlite_context, segments=SegmentSettings(columns=("age:0",))), end + 600_000_000)
    save_reference(context, tiny)
    frame = rows(1_000, seed=2)
    frame["income"] += frame["age"] < 0
    send(context, tiny, frame, end - HOUR_US // 2, answers=lambda part: part["age"] - 2 * part["income"])
    segments_job.run(context)
    without_sample(context)
    (version,) = context.watched()
    content = compose(context, version, (end - HOUR_US, end)).content
    segments = content["arms"][0]["segments"]
    assert [(s["segment"], s["verdict"]) for s in segments] == [("below 0", "drift"), ("from 0", "no drift")]
    assert "income" in segments[0]["drifted_columns"]
    assert headline(content).endswith("1 of 2 segments drifted, most of all age below 0.")
    assert report_metrics(content)["segments_drifted"] == 1
    assert "below 0" in render(content)
    earlier = compose(context, version, (end - 2 * HOUR_US, end - HOUR_US)).content
    assert earlier["arms"][0]["segments"] == []
