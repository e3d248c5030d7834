"""Drift by segment: found where it is, said of nothing else, within the model's budget, once an hour."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from monitor_rig import COLUMNS, TinyModel, at, job_context, rows, save_reference, send
from sqlalchemy import Row, select

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import drift_job, segments_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.rows.results import Result
from driftline.monitor.segments.judge import segment_budget, whole_budget
from driftline.monitor.training.reference import BuiltReference, build
from driftline.monitor.training.segmented import with_segments
from driftline.store import schema
from driftline.store.engine import open_engine
from driftline.store.prediction_columns import prediction_columns
from driftline.store.profile.reference import build_reference
from driftline.store.profile_levels import HOUR_US
from driftline.store.records import ModelIdentity, now_us
from driftline.store.references import newest_reference
from driftline.store.segments.settings import SegmentSettings, WantedSegments
from driftline.store.verify import verify

NOW = now_us() // HOUR_US * HOUR_US
ask = partial(send, answers=lambda part: part["age"] - 2 * part["income"])  # as the model would answer


@pytest.fixture(scope="session")
def model() -> BuiltReference:
    """A model of three columns that no MLflow knows, and its reference, which tells nothing apart."""
    inputs = [{"name": name, "type": "double", "required": True} for name in COLUMNS]
    signature = {"inputs": orjson.dumps(inputs).decode(), "outputs": '[{"type": "double", "required": true}]'}
    identity = ModelIdentity(name="visits", version="1", uri="models:/visits/1", signature=signature)
    training, columns = rows(3_000, seed=1), prediction_columns(signature)
    cells = [*(training[name].to_numpy() for name in COLUMNS), (training["age"] - 2 * training["income"]).to_numpy()]
    data = {column.column_name: values for column, values in zip(columns, cells, strict=True)}
    reference = calibrate(build_reference(columns, data, source="training rows", made_at_us=1))
    return BuiltReference(identity, reference, data, "taken from the data")


@pytest.fixture(scope="session")
def told(model: BuiltReference) -> BuiltReference:
    """The same with a reference that tells ages below 0 apart, as it is built with these segments: simulated once."""
    wanted, drift = [WantedSegments("age", (0.0,))], DriftSettings()
    return replace(model, reference=with_segments(model.reference, wanted, 20, model.sample, 3_000, drift))


@pytest.fixture
def context(store_url: str, tmp_path: Path) -> Iterator[JobContext]:
    """What jobs work with, once on each engine, without an MLflow."""
    engine = open_engine(store_url)
    yield job_context(engine, tmp_path / "home")
    engine.dispose()


@pytest.fixture
def sqlite_context(sqlite_url: str, tmp_path: Path) -> Iterator[JobContext]:
    engine = open_engine(sqlite_url)
    yield job_context(engine, tmp_path / "home")
    engine.dispose()


SETTLED = 10 * 60 * 1_000_000


def told_apart(context: JobContext, *columns: str, end_us: int = NOW) -> JobContext:
    """Return the context ten minutes after an hour's end, with segments of these columns."""
    return at(replace(context, segments=SegmentSettings(columns=columns)), end_us + SETTLED)


def moved_where(frame: pd.DataFrame, column: str, below: float, by: float) -> pd.DataFrame:
    """Move income only where another column is below a limit."""
    return frame.assign(income=frame["income"] + by * (frame[column] < below))


def newest(context: JobContext) -> dict[str, Row[tuple[object, ...]]]:
    t = schema.segment_result
    with context.engine.connect() as connection:
        rows = connection.execute(select(t).order_by(t.c.id)).all()
    return {f"{row.segment_column}={row.segment}": row for row in rows}


def test_drift_in_one_segment_is_found_there_and_in_no_other(context: JobContext, told: BuiltReference) -> None:
    context = told_apart(context, "age:0")
    save_reference(context, told)
    ask(context, told.identity, moved_where(rows(2_000, seed=2), "age", 0, 1.0), NOW - HOUR_US // 2)
    report = segments_job.run(context)
    assert report.outcomes["visits/1"].result is Result.SUCCESS
    assert "drift in age=below 0" in report.outcomes["visits/1"].message
    found = newest(context)
    assert {name: row.verdict for name, row in found.items()} == {"age=below 0": "drift", "age=from 0": "no drift"}
    drifted = found["age=below 0"]
    assert (drifted.column_name, drifted.since) == ("income", NOW)
    assert "income" in [column["column"] for column in orjson.loads(drifted.columns)]
    assert 1 <= drifted.drifted <= drifted.judged == 4
    assert not [check for check in verify(context.engine) if not check.agrees]


def test_segments_that_differ_by_nature_are_no_drift(sqlite_context: JobContext, told: BuiltReference) -> None:
    context = told_apart(sqlite_context, "age:0")
    save_reference(context, told)
    ask(context, told.identity, rows(2_000, seed=2), NOW - HOUR_US // 2)
    segments_job.run(context)
    assert {row.verdict for row in newest(context).values()} == {"no drift"}  # as wholes they are far apart in age


def test_an_hours_end_is_judged_once_and_an_episode_goes_on(sqlite_context: JobContext, told: BuiltReference) -> None:
    context = told_apart(sqlite_context, "age:0")
    save_reference(context, told)
    ask(context, told.identity, moved_where(rows(1_000, seed=2), "age", 0, 1.0), NOW - 3 * HOUR_US // 2)
    segments_job.run(told_apart(context, "age:0", end_us=NOW - HOUR_US))
    first = newest(context)["age=below 0"]
    segments_job.run(told_apart(context, "age:0", end_us=NOW - HOUR_US))
    assert newest(context)["age=below 0"].id == first.id
    segments_job.run(context)
    second = newest(context)["age=below 0"]
    assert (second.since, second.judgements, second.verdict) == (first.since, 2, "drift")


def test_small_segments_get_no_verdict_live_or_in_training(sqlite_context: JobContext, model: BuiltReference) -> None:
    context = told_apart(sqlite_context, "age:-3.2:0")
    save_reference(context, model)
    frame = rows(1_000, seed=2)
    ask(
        context, model.identity, pd.concat([frame[frame["age"] >= 0], frame[frame["age"] < 0][:50]]), NOW - HOUR_US // 2
    )
    report = segments_job.run(context)
    assert report.outcomes["visits/1"].result is Result.SUCCESS
    reasons = {row.segment: row.reason for row in newest(context).values() if row.verdict == "insufficient data"}
    assert reasons["-3.2 to 0"] == "50 rows in this segment, a verdict needs 100"
    assert "a verdict needs 100" in reasons.get("below -3.2", "a verdict needs 100")
    assert newest(context)["age=from 0"].verdict == "no drift"


def test_a_reference_is_built_with_its_segments_from_all_training_rows(tiny: TinyModel) -> None:
    link = MlflowLink()
    settings = SegmentSettings(columns=("tiny=age:1", "tenure:-1:1"))
    drift = DriftSettings(min_rows=2_200)  # one segment to simulate
    built = build(link, link.resolve(tiny.uri), tiny.training, "training rows", segments=settings, drift=drift)
    assert [s.column.name for s in built.reference.segments] == ["age", "tenure"]
    assert [s.counted_rows for s in built.reference.segments] == [3_000, 3_000]
    below = built.reference.segments[0].parts["below 1"]
    assert below.rows == int((tiny.training["age"] < 1).sum())
    assert below.calibration is not None
    assert built.reference.segments[1].parts["below -1"].calibration is None


def test_a_reference_without_segments_gets_them_from_its_sample_once(
    sqlite_context: JobContext, model: BuiltReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = told_apart(sqlite_context, "age:2.2")  # one of them is large enough to be simulated
    sampled = {name: cells[:1_000] for name, cells in model.sample.items()}
    save_reference(context, replace(model, sample=sampled))
    report = segments_job.run(context)
    assert "a sample of 1000 of its 3000 rows" in report.outcomes["visits/1"].message
    with context.engine.connect() as connection:
        before = newest_reference(connection, 1)
    monkeypatch.setattr("driftline.monitor.segments.parts.read_sample", None)  # it is not asked again
    assert not segments_job.run(context).failed
    with context.engine.connect() as connection:
        after = newest_reference(connection, 1)
    assert before is not None
    assert after is not None
    assert (before[0], before[1].to_bytes()) == (after[0], after[1].to_bytes())


def test_a_model_has_one_budget_whatever_is_told_apart() -> None:
    drift, segments = DriftSettings(), SegmentSettings(budget_share=0.4)
    assert whole_budget(drift, segments, 0) == drift
    parts = [segment_budget(drift, segments, 2).false_alarms_per_month for _ in range(2)]
    whole = whole_budget(drift, segments, 2).false_alarms_per_month
    assert whole + sum(parts) == pytest.approx(drift.false_alarms_per_month)


def test_thresholds_of_a_segment_rise_with_the_number_of_segments(
    sqlite_context: JobContext, told: BuiltReference
) -> None:
    few, many = told_apart(sqlite_context, "age:0"), told_apart(sqlite_context, "age:0", "tenure:-2.2")
    save_reference(few, told)
    ask(few, told.identity, rows(400, seed=2), NOW - HOUR_US // 2)
    segments_job.run(few)
    alone = newest(few)["age=below 0"].threshold
    with few.engine.begin() as connection:
        connection.execute(schema.segment_result.delete())
    segments_job.run(many)
    assert newest(many)["age=below 0"].threshold > alone


def test_a_column_that_a_model_lacks_fails_where_it_is_named_and_never_stops_the_drift_job(
    sqlite_context: JobContext, model: BuiltReference
) -> None:
    context = told_apart(sqlite_context, "visits=plan")
    save_reference(context, model)
    ask(context, model.identity, rows(200, seed=2), NOW - HOUR_US // 2)
    report = segments_job.run(context)
    assert "names plan for visits, which has no such input: name one of age" in report.outcomes["visits/1"].message
    assert not drift_job.run(context).failed
    assert segments_job.run(told_apart(context, "plan")).outcomes["visits/1"].result is Result.SKIPPED


def test_what_the_past_of_a_segment_scored_is_kept_by_column_and_span(
    sqlite_context: JobContext, told: BuiltReference
) -> None:
    context = told_apart(sqlite_context, "age:0")
    save_reference(context, told)
    ask(context, told.identity, rows(400, seed=2), NOW - HOUR_US // 2)
    segments_job.run(context)
    row = newest(context)["age=from 0"]
    spans = [int(span) for span in row.spans.split(",")]
    scores = np.frombuffer(bytes(row.scores), "<f4").reshape(len(spans), 4)
    assert spans == [0, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400]  # 0: which statistic the scores are of
    assert (scores >= 0).all()
    assert np.allclose(scores[1], scores[-1])
