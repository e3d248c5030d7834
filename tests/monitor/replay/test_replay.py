"""A replay, whole: requests in a store, another version in MLflow, what is told and what is logged."""

import csv
import json
from dataclasses import replace as changed
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from monitor_rig import rows, save_reference
from replay_rig import answer, label, register
from sklearn.linear_model import LinearRegression, LogisticRegression

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.replay.fit import CannotReplay
from driftline.monitor.replay.mlflow_run import log_replay
from driftline.monitor.replay.page import render
from driftline.monitor.replay.replay import ReplayOptions, replay
from driftline.monitor.replay.wording import told
from driftline.monitor.training.reference import build
from driftline.store.errors import ModelNotFound
from driftline.store.records import Arm, ModelIdentity, now_us
from driftline.store.redaction import Redaction

pytestmark = pytest.mark.thorough

TRAINING = rows(3_000, seed=1)
HOUR_US = 3_600_000_000
NO_CHECK = ReplayOptions((0, 0), check=False)


def truth_of(frame: pd.DataFrame) -> pd.Series:
    """Class 1 depends on age and income alike."""
    return (frame["age"] + frame["income"] > 0).astype("int64")


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
    sqlite_context: JobContext, versions: tuple[ModelIdentity, LogisticRegression, ModelIdentity]
) -> None:
    first, estimator, _ = versions
    answer(sqlite_context, first, estimator, rows(400, seed=2))
    answer(sqlite_context, first, estimator, rows(30, seed=3), arm=Arm.SHADOW)
    made = replay(sqlite_context, "models:/clf/1", last_hour())
    found = made.content["disagreement"]
    assert (found["rows"], found["differing_rows"], found["failed_rows"]) == (400, 0, 0)
    assert found["share_interval"] == (0.0, pytest.approx(0.0095, abs=1e-4))
    assert made.content["verdict"] == "version 1 answers 0 % of 400 rows otherwise (0 to 0.951 %)"
    assert (made.content["performance"], made.differing, made.content["where"]) == (None, [], [])


def test_another_version_is_told_apart_by_rows_inputs_drift_and_labels_and_logged(
    context: JobContext,
    versions: tuple[ModelIdentity, LogisticRegression, ModelIdentity],
    tracking: mlflow.MlflowClient,
    tmp_path: Path,
) -> None:
    first, estimator, second = versions
    live = rows(900, seed=2)
    places = answer(context, first, estimator, live)
    label(context, places, truth_of(live).tolist())
    made = replay(context, "models:/clf/2", last_hour(check=True))
    content = made.content
    wide = mlflow.sklearn.load_model("models:/clf/2").predict(live)
    differs = estimator.predict(live) != wide
    assert content["disagreement"]["differing_rows"] == differs.sum() > 20
    assert {(row["invocation_id"], row["row"]) for row in made.differing} == {
        place for place, other in zip(places, differs, strict=True) if other
    }
    assert sum(move["rows"] for move in content["outputs"][0]["moves"]) == differs.sum()
    assert "income" in [column["column"] for column in content["where"]]
    accuracy = content["performance"]["metrics"]["accuracy"]
    assert accuracy["recorded"] == np.mean(estimator.predict(live) == truth_of(live))
    assert accuracy["asked"] == np.mean(wide == truth_of(live))
    low, high = accuracy["difference_interval"]
    assert 0 < low < accuracy["difference"] < high
    assert "on 900 labelled rows its accuracy is higher by" in content["verdict"]
    check = content["check"]
    assert (check["rows"], check["differing_rows"], check["failed_rows"]) == (500, 0, 0)
    assert content["timing"]["requests"] > 0
    assert content["verdict"] in told(content)
    assert content["verdict"] in render(content)
    row = content["most_different"][0]
    assert f"\nrows that differ:\n    {row['invocation_id']} row {row['row']}\n" in told(
        content
    )  # classes: by no amount
    assert "<th>invocation</th>" in render(content)
    assert "difference</th><th>invocation</th>" not in render(content)
    assert "built-in method" not in render(content)  # a key that is also a method of every dict
    run_id = log_replay(context.link, made)
    read_back(tracking, run_id, second, content, tmp_path / "read")


def read_back(client: mlflow.MlflowClient, run_id: str, asked: ModelIdentity, content: dict, folder: Path) -> None:
    """Check what MLflow says of a logged replay."""
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == f"driftline/{asked.name}"
    assert run.info.status == "FINISHED"
    assert run.data.tags["driftline.kind"] == "replay"
    assert run.data.tags["driftline.replay.of"] == f"{asked.name}/1"
    assert run.data.metrics["replay.disagreement"] == content["disagreement"]["share"]
    assert [m.model_id for m in run.inputs.model_inputs] == [asked.model_id]
    assert {m.key for m in client.get_logged_model(asked.model_id).metrics} >= {"replay.disagreement", "replay.rows"}
    tags = client.get_model_version(asked.name, asked.version).tags
    assert (tags["driftline.replay"], tags["driftline.replay.run"]) == (content["verdict"], run_id)
    assert client.get_logged_model(asked.model_id).tags["driftline.replay.run"] == run_id
    found = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(folder)))
    assert {p.name for p in found.iterdir()} == {"replay.json", "replay.html", "differing.csv"}
    assert json.loads((found / "replay.json").read_text())["verdict"] == content["verdict"]
    with (found / "differing.csv").open() as file:
        assert len(list(csv.DictReader(file))) == content["disagreement"]["differing_rows"]


def test_a_replay_of_numbers_goes_through_a_tracking_server(
    sqlite_context: JobContext, tracking_server: mlflow.MlflowClient, tmp_path: Path
) -> None:
    first, second = (LinearRegression().fit(TRAINING, TRAINING["age"] - TRAINING["income"] + by) for by in (0, 2))
    register("amount", first, TRAINING)
    asked = register("amount", second, TRAINING)
    context = changed(sqlite_context, link=MlflowLink())
    save_reference(context, build(context.link, asked, TRAINING, "training rows"))
    answer(context, context.link.resolve("models:/amount/1"), first, rows(300, seed=2))
    made = replay(context, "models:/amount/2", last_hour(of="amount/1", tolerance=1.5))
    (output,) = made.content["outputs"]
    assert (output["bias"], output["p99_absolute"]) == (pytest.approx(2), pytest.approx(2))
    assert (output["share"], output["tolerance"]) == (1.0, 1.5)
    assert output["correlation"] == pytest.approx(1)
    drift = made.content["prediction_drift"]
    assert drift["against_recorded"][0]["verdict"] == "drift"
    assert drift["against_training"][0]["verdict"] == "no drift"
    read_back(tracking_server, log_replay(context.link, made), asked, made.content, tmp_path / "read")


def test_a_version_that_needs_a_dropped_column_is_refused_and_one_that_does_without_is_asked(
    sqlite_context: JobContext, versions: tuple[ModelIdentity, LogisticRegression, ModelIdentity]
) -> None:
    first, estimator, _ = versions
    redaction = Redaction({"income": "drop"})
    answer(sqlite_context, redaction.identity(first), estimator, rows(60, seed=2))
    context = changed(sqlite_context, redaction=redaction)
    with pytest.raises(CannotReplay, match=r"clf/2 requires income, whose values \[redaction\] keeps out of the store"):
        replay(context, "models:/clf/2", last_hour())
    known = TRAINING.drop(columns="income")
    register("clf", LogisticRegression().fit(known, truth_of(TRAINING)), known)
    made = replay(context, "models:/clf/3", last_hour(check=True))
    assert (made.content["answered"], made.content["failed"]) == (60, {})
    assert "requires income" in made.content["check"]["reason"]


def test_what_cannot_be_replayed_is_one_line_with_the_next_step(
    sqlite_context: JobContext, versions: tuple[ModelIdentity, LogisticRegression, ModelIdentity]
) -> None:
    with pytest.raises(ModelNotFound, match="by --of"):
        replay(sqlite_context, "models:/clf/2", last_hour())
    answer(sqlite_context, versions[0], versions[1], rows(10, seed=2))
    with pytest.raises(CannotReplay, match="no rows as canary"):
        replay(sqlite_context, "models:/clf/2", last_hour(arm=Arm.CANARY))
    more = TRAINING.assign(region=1.0)
    register("clf", LogisticRegression().fit(more, truth_of(TRAINING)), more, infer_signature(more, [0, 1]))
    with pytest.raises(CannotReplay, match="do not have region, which clf/3 requires"):
        replay(sqlite_context, "models:/clf/3", last_hour())
