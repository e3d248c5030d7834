"""The multivariate job: drift that no single column shows, from the store and back into it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from monitor_rig import TinyModel, rows, save_reference, send
from sqlalchemy import select

from driftline.monitor.jobs import drift_job, multivariate_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.multivariate import domain_classifier
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.monitor.rows.multivariate_rows import newest_check
from driftline.monitor.rows.results import Result
from driftline.monitor.watch import find_version
from driftline.store import schema
from driftline.store.records import Arm


def bound(count: int, seed: int, correlation: float) -> pd.DataFrame:
    """Rows whose every column is as in training, and whose age and income hang together."""
    frame = rows(count, seed)
    frame["income"] = correlation * frame["age"] + np.sqrt(1 - correlation**2) * frame["income"]
    return frame


def newest(context: JobContext, arm: Arm = Arm.CHAMPION) -> MultivariateDrift:
    with context.engine.connect() as connection:
        found = newest_check(connection, find_version(connection, "tiny", 0).id, arm)
    assert found is not None
    return found


def test_drift_that_no_single_column_shows_is_found_and_its_columns_are_named(
    context: JobContext, tiny: TinyModel
) -> None:
    save_reference(context, tiny)
    send(context, tiny, bound(1_500, 2, 0.8))
    outcome = multivariate_job.run(context).outcomes["tiny/1"]
    assert outcome.result is Result.SUCCESS
    found = newest(context)
    assert (found.verdict, found.window_rows, found.training_rows) == ("drift", 1_500, 3_000)
    assert found.auc is not None
    assert found.auc > 0.6
    assert found.z is not None
    assert found.z > 4
    assert set(list(found.columns)[:2]) == {"age", "income"}
    assert "by " in found.reason
    assert "age" in outcome.message
    drift_job.run(context)
    t = schema.drift_result
    with context.engine.connect() as connection:
        verdicts = dict(connection.execute(select(t.c.column_name, t.c.verdict).where(t.c.side == "input")).all())
    assert set(verdicts.values()) == {"no drift"}


def test_rows_like_the_training_rows_are_no_drift(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(1_500, seed=2))
    multivariate_job.run(sqlite_context)
    found = newest(sqlite_context)
    assert (found.verdict, found.columns) == ("no drift", {})
    assert "drift from AUC 0.55 and z 4" in found.reason


def test_arms_are_checked_apart_and_few_rows_get_no_verdict(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(100, seed=2))
    send(sqlite_context, tiny, bound(1_500, 3, -0.8), arm=Arm.CANARY)
    multivariate_job.run(sqlite_context)
    champion = newest(sqlite_context)
    assert (champion.verdict, champion.auc, champion.reason) == (
        "insufficient data", None, "100 rows, a verdict needs 300",
    )  # fmt: skip
    assert newest(sqlite_context, Arm.CANARY).verdict == "drift"


def test_ignored_columns_are_not_looked_at_and_more_than_the_limit_are_drawn(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, bound(1_500, 2, 0.8))
    settings = replace(sqlite_context.multivariate, ignored_columns="income")
    multivariate_job.run(replace(sqlite_context, multivariate=settings))
    assert newest(sqlite_context).verdict == "no drift"
    settings = replace(sqlite_context.multivariate, max_columns=2)
    multivariate_job.run(replace(sqlite_context, multivariate=settings))
    assert "1 inputs were left out this time" in newest(sqlite_context).reason


def test_it_can_be_switched_off(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(400, seed=2))
    off = replace(sqlite_context.multivariate, enabled=False)
    assert multivariate_job.run(replace(sqlite_context, multivariate=off)).outcomes == {}


def test_a_check_that_takes_too_long_is_ended_and_says_what_to_set(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(400, seed=2))
    hurried = replace(sqlite_context.multivariate, timeout_seconds=0.01)
    outcome = multivariate_job.run(replace(sqlite_context, multivariate=hurried)).outcomes["tiny/1"]
    assert outcome.result is Result.ERROR
    assert "lower sample_rows or max_columns" in outcome.message


def test_a_classifier_that_fails_is_told_without_a_value(
    sqlite_context: JobContext, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(400, seed=2))
    monkeypatch.setattr(domain_classifier, "__name__", "driftline.no_such_module")
    outcome = multivariate_job.run(sqlite_context).outcomes["tiny/1"]
    assert outcome.result is Result.ERROR
    assert "set enabled = false" in outcome.message


def test_without_the_training_rows_sample_there_is_no_verdict(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    for copy in (sqlite_context.home / "references").iterdir():
        copy.unlink()
    send(sqlite_context, tiny, rows(400, seed=2))
    assert multivariate_job.run(sqlite_context).outcomes["tiny/1"].result is Result.INSUFFICIENT_DATA
    assert "no sample of the training rows" in newest(sqlite_context).reason
