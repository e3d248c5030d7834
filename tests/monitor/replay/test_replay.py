"""A replay, whole: requests in a store, another version in MLflow, what is told and what is logged."""

from dataclasses import replace as changed

import mlflow
import pandas as pd
import pytest
from monitor_rig import rows
from replay_rig import answer, register
from sklearn.linear_model import LogisticRegression

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.replay.replay import ReplayOptions, replay
from driftline.store.records import Arm, ModelIdentity, now_us

TRAINING = rows(3_000, seed=1)
HOUR_US = 3_600_000_000
NO_CHECK = ReplayOptions((0, 0), check=False)


def truth_of(frame: pd.DataFrame) -> pd.Series:
    """Class 1 depends on age, and on income above one standard deviation."""
    return (frame["age"] + 3 * frame["income"].clip(lower=1) > 3).astype("int64")


def last_hour(**more: object) -> ReplayOptions:
    return changed(NO_CHECK, window=(now_us() - HOUR_US, now_us() + 60_000_000), **more)


@pytest.fixture
def versions(tracking: mlflow.MlflowClient) -> tuple[ModelIdentity, LogisticRegression, ModelIdentity]:
    """Version 1 with its estimator, which knows age alone, and version 2, which knows income too."""
    narrow, wide = LogisticRegression(), LogisticRegression()
    narrow.fit(TRAINING.assign(income=0.0), truth_of(TRAINING))
    wide.fit(TRAINING, truth_of(TRAINING))
    return register("clf", narrow, TRAINING), narrow, register("clf", wide, TRAINING)


def test_the_same_version_answers_the_same(
    context: JobContext, versions: tuple[ModelIdentity, LogisticRegression, ModelIdentity]
) -> None:
    first, estimator, _ = versions
    answer(context, first, estimator, rows(400, seed=2))
    answer(context, first, estimator, rows(30, seed=3), arm=Arm.SHADOW)
    made = replay(context, "models:/clf/1", last_hour())
    found = made.content["disagreement"]
    assert (found["rows"], found["differing_rows"], found["failed_rows"]) == (400, 0, 0)
    assert found["share_interval"] == (0.0, pytest.approx(0.0095, abs=1e-4))
    assert made.content["verdict"] == "version 1 answers 0 % of 400 rows otherwise (0 to 0.951 %)"
    assert (made.content["performance"], made.differing, made.content["where"]) == (None, [], [])
