import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest
from monitor_rig import MINUTE_US, TinyModel, at, rows, save_reference, send
from sqlalchemy import select

from driftline.monitor.drift.calibration import is_calibrated
from driftline.monitor.drift.column_judge import chosen_statistics
from driftline.monitor.drift.movement import ColumnPicture
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import drift_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.judge import judge
from driftline.monitor.rows.episode_rows import open_drift
from driftline.monitor.rows.history_rows import PastHours
from driftline.monitor.rows.results import Result
from driftline.monitor.watch import watched_versions
from driftline.store import schema
from driftline.store.records import Arm, now_us
from driftline.store.references import newest_reference

HOUR_US = 60 * MINUTE_US


def verdicts(context: JobContext) -> dict[str, str]:
    t = schema.drift_result
    with context.engine.connect() as connection:
        newest = connection.scalar(select(t.c.job_run_id).order_by(t.c.id.desc()).limit(1))
        found = connection.execute(select(t).where(t.c.job_run_id == newest)).all()
    return {row.column_name: row.verdict for row in found if row.side == "input"}


def test_the_drift_job_finds_the_shifted_column_and_only_it(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2, income=1.0))
    report = drift_job.run(context)
    assert report.outcomes["tiny/1"].result is Result.SUCCESS
    assert verdicts(context) == {"age": "no drift", "income": "drift", "tenure": "no drift"}


def test_what_changed_is_kept_with_the_drifted_column_and_with_no_other(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2, income=1.0))
    drift_job.run(context)
    t = schema.drift_result
    with context.engine.connect() as connection:
        kept = {row.column_name: row.picture for row in connection.execute(select(t)) if row.verdict == "drift"}
        other = connection.scalar(select(t.c.picture).where(t.c.column_name == "age"))
    assert other is None
    drawn = ColumnPicture.from_json(orjson.loads(kept["income"]))
    assert sum(drawn.window) == pytest.approx(1, abs=1e-4)
    assert re.fullmatch(r"[\d.]+ % of the values are now from [\d.]+ up, [\d.]+ % in training", drawn.words[0])


def test_traffic_like_the_training_data_is_no_drift(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(1_500, seed=2))
    drift_job.run(context)
    assert set(verdicts(context).values()) == {"no drift"}


def test_rows_that_came_before_the_reference_are_judged(context: JobContext, tiny: TinyModel) -> None:
    send(context, tiny, rows(1_500, seed=2, income=1.0))
    save_reference(context, tiny)
    drift_job.run(context)
    assert verdicts(context)["income"] == "drift"


def test_a_version_without_rows_has_insufficient_data(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    report = drift_job.run(context)
    assert report.outcomes["tiny/1"].result is Result.INSUFFICIENT_DATA
    assert not report.failed
    assert set(verdicts(context).values()) == {"insufficient data"}


def test_a_version_without_a_reference_is_skipped_with_the_next_command(context: JobContext, tiny: TinyModel) -> None:
    send(context, tiny, rows(100, seed=2))
    outcome = drift_job.run(context).outcomes["tiny/1"]
    assert outcome.result is Result.SKIPPED
    assert "driftline reference build models:/tiny/1" in outcome.message


def test_only_rows_of_the_windows_are_judged(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    now = now_us()
    send(sqlite_context, tiny, rows(1_500, seed=2, income=3.0), at_us=now - 8 * 24 * 60 * MINUTE_US)
    send(sqlite_context, tiny, rows(1_500, seed=3), at_us=now - 60 * MINUTE_US)
    drift_job.run(at(sqlite_context, now))
    assert verdicts(sqlite_context)["income"] == "no drift"


def test_a_window_that_begins_within_a_minute_holds_that_minute_whole(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    minute = now_us() // MINUTE_US * MINUTE_US
    send(sqlite_context, tiny, rows(500, seed=2), at_us=minute)
    with sqlite_context.engine.connect() as connection:
        (version,) = watched_versions(connection, 0)
        window = (minute + MINUTE_US // 2, minute + MINUTE_US)
        judged = judge(connection, version, Arm.CHAMPION, window, sqlite_context.drift)
    assert judged is not None
    assert (judged.window, judged.rows) == ((minute, minute + MINUTE_US), 500)


def test_every_run_is_recorded_with_its_times_and_result(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(500, seed=2))
    drift_job.run(context)
    with context.engine.connect() as connection:
        run = connection.execute(select(schema.job_run)).one()
        drifted = connection.scalars(select(schema.drift_result.c.job_run_id)).all()
    assert (run.job, run.result, set(drifted)) == ("drift", "success", {run.id})
    assert run.started_at <= run.finished_at


def test_a_version_whose_check_fails_is_recorded_as_an_error_and_the_others_go_on(
    context: JobContext, tiny: TinyModel
) -> None:
    for name in ("broken", "sound"):
        save_reference(context, tiny.named(name))
    t, v = schema.reference, schema.model_version
    broken = select(v.c.id).where(v.c.name == "broken").scalar_subquery()
    with context.engine.begin() as connection:
        connection.execute(t.update().where(t.c.model_version_id == broken).values(content=b"damaged"))
    report = drift_job.run(context)
    assert report.failed
    assert report.outcomes["broken/1"].result is Result.ERROR
    assert "driftline reference build" in report.outcomes["broken/1"].message
    assert report.outcomes["sound/1"].result is Result.INSUFFICIENT_DATA


def test_an_unforeseen_error_names_the_place_and_no_value(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    broken = replace(sqlite_context, drift=None)  # type: ignore[arg-type]
    send(sqlite_context, tiny, rows(500, seed=2))

    class Secret:
        def __getattr__(self, name: str) -> object:
            raise ValueError("the patient's name")

    outcome = drift_job.run(replace(broken, drift=Secret())).outcomes["tiny/1"]  # type: ignore[arg-type]
    assert outcome.result is Result.ERROR
    assert "ValueError in" in outcome.message
    assert "patient" not in outcome.message


def result_of(context: JobContext, column: str) -> Any:
    t = schema.drift_result
    with context.engine.connect() as connection:
        return connection.execute(select(t).where(t.c.column_name == column).order_by(t.c.id.desc()).limit(1)).one()


def test_the_window_that_decides_is_the_one_that_the_drift_fills(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    now = now_us()
    send(context, tiny, rows(5_000, seed=2), at_us=now - 90 * MINUTE_US)
    send(context, tiny, rows(500, seed=3, income=1.0), at_us=now - 30 * MINUTE_US)
    drift_job.run(at(context, now))
    found = result_of(context, "income")
    assert (found.verdict, found.window_end - found.window_start, found.window_rows) == ("drift", HOUR_US, 500)
    assert found.effect == pytest.approx(1.0, abs=0.2)
    assert " at 500 rows of 1 h" in found.reason
    assert result_of(context, "age").verdict == "no drift"


def test_an_episode_opens_stays_and_closes_after_its_time(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    hourly = replace(context, drift=replace(context.drift, windows="1h"))
    start = now_us()
    found, in_a_row = [], []
    for hour, shift in enumerate([0.0, 2.0, 0.0, 0.0, 0.0, 2.0]):
        then = start + hour * HOUR_US
        send(hourly, tiny, rows(600, seed=hour, income=shift), at_us=then)
        drift_job.run(at(hourly, then + MINUTE_US))
        found.append(result_of(hourly, "income"))
        with hourly.engine.connect() as connection:
            version = hourly.watched()[0]
            drift = open_drift(connection, version.id, version.arms[0])
            in_a_row.append(drift["input"].judgements if "input" in drift else 0)
    opened, again = (start + hour * HOUR_US + MINUTE_US for hour in (1, 5))
    assert [f.verdict for f in found] == ["no drift", "drift", "drift", "no drift", "no drift", "drift"]
    assert [f.since for f in found] == [None, opened, opened, None, None, again]
    assert in_a_row == [0, 1, 2, 0, 0, 1]
    assert "; drift since " in found[2].reason
    t = schema.drift_episode
    with hourly.engine.connect() as connection:
        query = select(t.c.opened_at, t.c.closed_at, t.c.judgements).where(t.c.column_name == "income").order_by(t.c.id)
        assert connection.execute(query).all() == [
            (opened, opened + 2 * HOUR_US, 2), (again, None, 1),
        ]  # fmt: skip


def test_a_side_drifts_by_the_share_that_is_allowed(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    half = replace(sqlite_context, monitor=replace(sqlite_context.monitor, drift_share_threshold=0.5))
    send(half, tiny, rows(600, seed=2, income=2.0))
    drift_job.run(half)
    with half.engine.connect() as connection:
        version = half.watched()[0]
        assert "input" not in open_drift(connection, version.id, version.arms[0])


def test_a_reference_of_an_older_release_is_calibrated_once(context: JobContext, tiny: TinyModel) -> None:
    old = replace(tiny.built, reference=tiny.built.reference.with_calibration({"format": 1}))
    save_reference(context, old)
    send(context, tiny, rows(600, seed=2, income=1.0))
    drift_job.run(context)
    assert verdicts(context)["income"] == "drift"
    with context.engine.connect() as connection:
        found = newest_reference(connection, context.watched()[0].id)
    assert found is not None
    assert is_calibrated(found[1])


def test_past_days_are_remembered_once_an_hour_and_an_open_episode_teaches_nothing(
    context: JobContext, tiny: TinyModel
) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(600, seed=2))
    now, statistics = now_us(), chosen_statistics(tiny.built.reference, DriftSettings())
    with context.engine.begin() as connection:
        version = context.watched()[0]
        found = newest_reference(connection, version.id)
        assert found is not None
        hours = PastHours(connection, version.id, found[0], Arm.CHAMPION, statistics)
        for day in range(1, 21):
            score = 0.5 + 0.01 * (day % 2)
            hours.remember(now - day * 24 * HOUR_US, {3600: {"in_age": score}, 86_400: {"in_income": 0.5}})
            hours.remember(now - day * 24 * HOUR_US, {3600: {"in_age": 9.0}})
        past = hours.like([3600, 86_400], now, {"in_income": now - 10 * 24 * HOUR_US})
        other = statistics | {"in_age": "kolmogorov_smirnov"}
        assert PastHours(connection, version.id, found[0], Arm.CHAMPION, other).like([3600], now, {}) == {}
    assert set(past) == {(3600, "in_age")}
    assert past[3600, "in_age"].windows == 18
    assert past[3600, "in_age"].mean == pytest.approx(0.505)


def test_scores_that_no_threshold_looks_back_upon_are_dropped(context: JobContext, tiny: TinyModel) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(600, seed=2))
    now, statistics = now_us(), chosen_statistics(tiny.built.reference, DriftSettings())
    with context.engine.begin() as connection:
        version = context.watched()[0]
        found = newest_reference(connection, version.id)
        assert found is not None
        for arm, days in ((Arm.SHADOW, 40), (Arm.CHAMPION, 30), (Arm.CHAMPION, 28), (Arm.CHAMPION, 0)):
            hours = PastHours(connection, version.id, found[0], arm, statistics)
            hours.remember(now - days * 24 * HOUR_US, {3600: {"in_age": 0.5}})
        kept = connection.scalars(select(schema.drift_history.c.hour).order_by(schema.drift_history.c.hour)).all()
    assert [round((now - hour) / (24 * HOUR_US)) for hour in kept] == [28, 0]


def test_two_monitors_at_a_time_open_one_episode_and_remember_one_hour(
    context: JobContext, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reference(context, tiny)
    send(context, tiny, rows(600, seed=2, income=2.0))
    both, now, judge_windows = threading.Barrier(2), now_us(), drift_job.judge_windows

    def judge_together(*args: Any) -> Any:
        judged = judge_windows(*args)
        both.wait(60)  # neither writes before the other has read
        return judged

    monkeypatch.setattr(drift_job, "judge_windows", judge_together)
    with ThreadPoolExecutor(2) as monitors:
        reports = list(monitors.map(drift_job.run, [at(context, now)] * 2))
    assert [report.outcomes["tiny/1"].result for report in reports] == [Result.SUCCESS] * 2
    t = schema.drift_episode.c
    with context.engine.connect() as connection:
        opened = connection.execute(select(t.side, t.column_name, t.judgements)).all()
        hours = connection.scalars(select(schema.drift_history.c.hour)).all()
    assert sorted(row for row in opened if row.side == "input") == [("input", "", 2), ("input", "income", 2)]
    assert len(hours) == 1
