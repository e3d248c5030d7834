from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from monitor_rig import TinyModel, register, rows, save_reference, send

from driftline.monitor import log_reference
from driftline.monitor.frames import TrainingDataMismatch
from driftline.monitor.jobs import reference_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import REFERENCE_TAG, MlflowLink
from driftline.monitor.performance.reference_performance import performance_of
from driftline.monitor.performance.task import TaskKind
from driftline.monitor.rows.results import Result
from driftline.monitor.training import model_answers, reference, training_data
from driftline.monitor.training.reference_sample import draw_sample, read_sample
from driftline.monitor.training.training_data import TrainingDataMissing
from driftline.store.errors import ModelNotFound, ReferenceCorrupt, ReferenceMissing
from driftline.store.reads import model_versions
from driftline.store.references import newest_reference


def test_the_reference_of_the_outputs_is_what_the_model_answers(tiny: TinyModel) -> None:
    answers = tiny.training["age"] - 2 * tiny.training["income"]
    assert tiny.built.sample["out_prediction"] == pytest.approx(answers.to_numpy())
    assert tiny.built.outputs_from == "the model's answers to the 3000 rows"


def test_outputs_that_the_data_hold_are_taken_from_them(tiny: TinyModel) -> None:
    link = MlflowLink()
    data = tiny.training.assign(prediction=7.0)
    built = reference.build(link, tiny.built.identity, data, "rows")
    assert set(built.sample["out_prediction"]) == {7.0}
    assert built.outputs_from == "taken from the data's prediction"


def test_training_code_logs_a_reference_in_one_line_and_any_store_gets_it_back(
    context: JobContext, tiny: TinyModel, tracking: mlflow.MlflowClient
) -> None:
    place = log_reference(tiny.uri, tiny.training)
    assert tracking.get_model_version("tiny", "1").tags[REFERENCE_TAG] == place
    assert mlflow.get_logged_model(tiny.model_id).tags[REFERENCE_TAG] == place
    send(context, tiny, rows(200, seed=2))
    report = reference_job.run(context)
    assert report.outcomes["tiny/1"].result is Result.SUCCESS
    with context.engine.connect() as connection:
        (version,) = model_versions(connection)
        found = newest_reference(connection, version.id)
    assert found is not None
    assert found[1].spec_hash == tiny.built.reference.spec_hash
    assert found[1].row_count == 3_000


def test_a_reference_logged_for_the_model_id_is_found_for_the_registered_version(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    unregistered = sqlite_context.link.resolve(f"models:/{tiny.model_id}")
    reference.publish(sqlite_context.link, replace(tiny.built, identity=unregistered))
    send(sqlite_context, tiny, rows(50, seed=2))
    assert reference_job.run(sqlite_context).outcomes["tiny/1"].result is Result.SUCCESS


def test_a_version_that_has_its_reference_is_left_alone(sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    assert reference_job.run(sqlite_context).outcomes == {}


def test_a_version_without_any_reference_is_told_the_command(sqlite_context: JobContext, tiny: TinyModel) -> None:
    send(sqlite_context, tiny, rows(50, seed=2))
    outcome = reference_job.run(sqlite_context).outcomes["tiny/1"]
    assert outcome.result is Result.SKIPPED
    assert "driftline reference build models:/tiny/1" in outcome.message
    with pytest.raises(ReferenceMissing, match="driftline reference build models:/tiny/1 --data"):
        reference.require(sqlite_context.engine, sqlite_context.link, sqlite_context.watched()[0])


def test_a_corrupt_reference_file_in_mlflow_is_an_error_with_the_next_command(
    sqlite_context: JobContext, tiny: TinyModel, tmp_path: Path, tracking: mlflow.MlflowClient
) -> None:
    reference.publish(sqlite_context.link, tiny.built)
    damaged = tmp_path / reference.REFERENCE_FILE
    damaged.write_bytes(b"driftline reference 1\nnot what was written")
    tracking.log_artifact(tiny.run_id, str(damaged), f"driftline/{tiny.model_id}")
    send(sqlite_context, tiny, rows(50, seed=2))
    outcome = reference_job.run(sqlite_context).outcomes["tiny/1"]
    assert outcome.result is Result.ERROR
    assert "driftline reference build" in outcome.message
    with pytest.raises(ReferenceCorrupt):
        reference.require(sqlite_context.engine, sqlite_context.link, sqlite_context.watched()[0])


def test_the_sample_of_the_training_rows_comes_from_the_copy_or_from_mlflow(
    sqlite_context: JobContext, tiny: TinyModel, tmp_path: Path
) -> None:
    link, identity, made = sqlite_context.link, tiny.built.identity, tiny.built.reference
    assert read_sample(tmp_path / "nowhere", link, identity, made) is None
    reference.publish(link, tiny.built)
    fetched = read_sample(tmp_path / "other", link, identity, made)
    assert fetched is not None
    assert fetched["in_age"].tolist() == tiny.training["age"].tolist()
    save_reference(sqlite_context, tiny)
    assert read_sample(sqlite_context.home, link, identity, made) is not None


def test_a_sample_is_bounded_reproducible_and_of_whole_rows() -> None:
    data = {"a": np.arange(1_000), "b": np.arange(1_000) * 2}
    drawn = draw_sample(data, rows=100)
    assert len(drawn["a"]) == 100
    assert (drawn["b"] == 2 * drawn["a"]).all()
    assert (draw_sample(data, rows=100)["a"] == drawn["a"]).all()


def test_columns_of_the_signature_that_the_data_lack_are_named(tiny: TinyModel) -> None:
    with pytest.raises(TrainingDataMismatch, match="lack the columns income, tenure of the signature"):
        reference.build(MlflowLink(), tiny.built.identity, tiny.training[["age"]], "rows")


def test_a_column_of_the_wrong_type_is_named_without_its_values(tiny: TinyModel) -> None:
    data = tiny.training.astype({"income": object})
    data.loc[0, "income"] = "a secret"
    with pytest.raises(TrainingDataMismatch, match="column income of the data cannot be double") as raised:
        reference.build(MlflowLink(), tiny.built.identity, data, "rows")
    assert "secret" not in str(raised.value)


def test_a_model_without_a_signature_is_refused(tracking: mlflow.MlflowClient) -> None:
    model = register("unsigned", signed=False)
    link = MlflowLink()
    with pytest.raises(TrainingDataMismatch, match="has no signature"):
        reference.build(link, link.resolve(model.uri), model.training, "rows")


@pytest.mark.filterwarnings("ignore:The specified dataset source can be interpreted in multiple ways")
def test_training_data_are_found_by_tag_then_artifact_then_dataset(
    tiny: TinyModel, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    link, identity = MlflowLink(), tiny.built.identity
    frames = {name: tiny.training.head(n) for n, name in enumerate(("dataset", "artifact", "tag"), start=1)}
    for name, frame in frames.items():
        (tmp_path / name).mkdir()
        frame.to_parquet(tmp_path / name / "reference.parquet")
    with mlflow.start_run(tiny.run_id):
        source = str(tmp_path / "dataset" / "reference.parquet")
        mlflow.log_input(mlflow.data.from_pandas(frames["dataset"], source=source), context="training")
    assert len(training_data.find(link, identity).frame) == 1
    tracking.log_artifact(tiny.run_id, str(tmp_path / "artifact" / "reference.parquet"), "monitoring")
    assert len(training_data.find(link, identity).frame) == 2
    tag = str(tmp_path / "tag" / "reference.parquet")
    tracking.set_model_version_tag("tiny", "1", training_data.TRAINING_DATA_TAG, tag)
    found = training_data.find(link, identity)
    assert (len(found.frame), found.source) == (3, tag)
    csv = tmp_path / "named.csv"
    tiny.training.head(4).to_csv(csv, index=False)
    assert len(training_data.find(link, identity, csv).frame) == 4


def test_training_data_that_mlflow_cannot_load_are_told_with_what_was_tried(
    tiny: TinyModel, tracking: mlflow.MlflowClient
) -> None:
    with mlflow.start_run(tiny.run_id):
        mlflow.log_input(mlflow.data.from_pandas(tiny.training, name="people"), context="train")
    with pytest.raises(TrainingDataMissing) as raised:
        training_data.find(MlflowLink(), tiny.built.identity)
    assert "dataset people has a source of type code, which MLflow cannot load" in str(raised.value)
    assert "driftline reference build models:/tiny/1 --data train.parquet" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.parquet", None, "no file"),
        ("garbage.parquet", b"garbage", "cannot be read as Parquet"),
        ("garbage.csv", b'a,b\n"unclosed', "cannot be read as CSV"),
        ("empty.csv", b"age,income,tenure\n", "holds no rows"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingDataMissing, match=said) as raised:
        training_data.read_table(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("uri", ["models:/nope/1", "models:/tiny@nope", "runs:/abc/model", "nowhere"])
def test_an_unknown_model_is_one_line(tracking: mlflow.MlflowClient, uri: str) -> None:
    with pytest.raises(ModelNotFound, match="MLFLOW_TRACKING_URI") as raised:
        MlflowLink().resolve(uri)
    assert "\n" not in str(raised.value)


def test_answers_in_batches_equal_answers_at_once(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_answers, "_PREDICT_ROWS", 700)
    answered: list[int] = []
    built = reference.build(MlflowLink(), tiny.built.identity, tiny.training, "rows", progress=answered.append)
    assert answered == [700, 700, 700, 700, 200]
    assert pd.Series(built.sample["out_prediction"]).equals(pd.Series(tiny.built.sample["out_prediction"]))


def test_rows_that_the_model_does_not_predict_are_told_without_their_values(tiny: TinyModel) -> None:
    data = tiny.training.copy()
    data.loc[0, "income"] = np.inf  # scikit-learn refuses it
    with pytest.raises(TrainingDataMismatch, match=r"tiny version 1 does not predict rows .* columns named prediction"):
        reference.build(MlflowLink(), tiny.built.identity, data, "rows")


def test_numbers_are_cast_to_the_width_of_the_signature_before_the_model_answers(
    tracking: mlflow.MlflowClient,
) -> None:
    model = register("narrow", width="float32")
    wide = model.training.astype("float64")
    built = reference.build(MlflowLink(), model.built.identity, wide, "rows")
    assert np.array_equal(built.sample["out_prediction"], model.built.sample["out_prediction"])


@pytest.mark.filterwarnings("ignore:.*(input example|type hints)")
@pytest.mark.parametrize("as_lists", [False, True])
def test_a_tensor_reaches_the_model_in_its_type(tracking: mlflow.MlflowClient, as_lists: bool) -> None:
    dtype = np.dtype("float64" if as_lists else "float32")  # MLflow reads lists as float64

    class Tensor(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            assert (model_input.dtype, model_input.shape) == (dtype, (2, 2))
            return model_input.sum(axis=1)

    spec = Schema([TensorSpec(dtype, (-1, 2))])
    answer = Schema([TensorSpec(dtype, (-1,))])
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="tensor", python_model=Tensor(), signature=ModelSignature(spec, answer), pip_requirements=[]
        )
    link = MlflowLink()
    data = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    if as_lists:
        data = pd.DataFrame({"tensor": data.to_numpy().tolist()})
    built = reference.build(link, link.resolve(info.model_uri), data, "rows")
    assert built.sample["out_prediction"].tolist() == [4.0, 6.0]


def test_a_reference_with_labels_holds_the_models_own_performance_and_any_store_gets_it_back(
    context: JobContext, tiny: TinyModel
) -> None:
    answers = tiny.training["age"] - 2 * tiny.training["income"]
    noise = np.random.default_rng(5).normal(size=len(answers))
    log_reference(tiny.uri, tiny.training, labels=(answers + noise).to_numpy())
    send(context, tiny, rows(20, seed=2))
    reference_job.run(context)
    with context.engine.connect() as connection:
        (version,) = model_versions(connection)
        found = newest_reference(connection, version.id)
    assert found is not None
    performance = performance_of(found[1])
    assert performance is not None
    assert performance.task.kind is TaskKind.REGRESSION
    assert performance.source == "3000 training rows"
    assert performance.metrics["mae"].value == pytest.approx(np.abs(noise).mean(), rel=1e-6)


def test_performance_is_measured_on_held_out_rows_where_they_are_given(tiny: TinyModel) -> None:
    held_out = rows(50, seed=3)
    held_out["paid"] = held_out["age"] - 2 * held_out["income"] + 3
    built = reference.build(
        MlflowLink(), tiny.built.identity, tiny.training.assign(paid=0.0), "rows", labels="paid", held_out=held_out
    )
    performance = performance_of(built.reference)
    assert performance is not None
    assert performance.source == "50 held-out rows"
    assert performance.metrics["bias"].value == pytest.approx(-3)


def test_labels_that_do_not_tell_the_task_leave_a_reference_without_performance_and_say_why(tiny: TinyModel) -> None:
    labels = np.array(["yes", "no"] * 1500)
    built = reference.build(MlflowLink(), tiny.built.identity, tiny.training, "rows", labels=labels)
    assert built.reference.performance is None
    assert 'as `[performance] positive_label = "yes"` or `"no"`; then build the' in built.no_performance
