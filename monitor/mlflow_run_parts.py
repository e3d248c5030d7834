"""The parts that every run of ours in MLflow is made of: its experiment, the window as its dataset, its metrics."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from driftline.store.records import MICROSECONDS, ModelIdentity

if TYPE_CHECKING:
    from mlflow import MlflowClient

_METRICS_A_BATCH = 1000
_DAY_SECONDS = 86_400
_MOST_SCHEMA_BYTES = 1_000_000  # MLflow takes a MiB


@dataclass(frozen=True, slots=True)
class LoggedWindow:
    """Live rows as a run's dataset.

    Attributes:
        name, digest: of the dataset.
        end_us: of the window, microseconds since the epoch.
    """

    name: str
    digest: str
    end_us: int


def experiment_of(client: "MlflowClient", model: str) -> str:
    """Return the id of the experiment ``driftline/<model>``, made at the first call, restored where it was deleted."""
    from mlflow.exceptions import MlflowException

    name = f"driftline/{model}"
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:  # it was not another monitor that made it meanwhile
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def log_window(
    client: "MlflowClient",
    run_id: str,
    rows_of: ModelIdentity,
    window: tuple[int, int],
    said: Mapping[str, Any],
    model_id: str | None,
) -> LoggedWindow:
    """Log live rows as the run's dataset, and a model as its input; a run that has them already keeps them.

    Args:
        rows_of: the model version that answered the rows.
        window: start and end, microseconds since the epoch.
        said: the window for people, its number of rows under ``rows``.
        model_id: of the LoggedModel that the run is about, where there is one.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

    digest = hashlib.sha256(f"{rows_of.uri} {window}".encode()).hexdigest()[:8]
    schema = _schema(orjson.loads((rows_of.signature or {}).get("inputs") or "[]"))
    dataset = Dataset(
        name=f"{rows_of.name}-window",
        digest=digest,
        source_type="code",
        source=orjson.dumps({"tags": {"mlflow.source.name": "driftline", "window": said}}).decode(),
        schema=schema.decode() if len(schema) <= _MOST_SCHEMA_BYTES else None,
        profile=orjson.dumps({"num_rows": said["rows"]}).decode(),
    )
    if not client.get_run(run_id).inputs.dataset_inputs:
        client.log_inputs(
            run_id,
            datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "monitoring")])],
            models=[LoggedModelInput(model_id=model_id)] if model_id else None,
        )
    return LoggedWindow(dataset.name, digest, window[1])


def _schema(inputs: list[dict[str, Any]]) -> bytes:
    """Return the columns as MLflow writes the schema of a dataset."""
    if any(spec.get("type") == "tensor" for spec in inputs):
        return orjson.dumps({"mlflow_tensorspec": {"features": orjson.dumps(inputs).decode(), "targets": None}})
    return orjson.dumps({"mlflow_colspec": inputs})


def log_metrics(
    client: "MlflowClient", run_id: str, model_id: str | None, window: LoggedWindow, values: Mapping[str, float | None]
) -> None:
    """Log metrics of a window, on the run and on the LoggedModel; what is None is left out.

    The day is the step: the metrics of a model's runs then make one curve over the weeks.
    """
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

    step, now = step_of(window.end_us), get_current_time_millis()
    about = {"model_id": model_id, "dataset_name": window.name, "dataset_digest": window.digest, "run_id": None}
    metrics = [Metric(name, float(value), now, step, **about) for name, value in values.items() if value is not None]
    for start in range(0, len(metrics), _METRICS_A_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_BATCH])


def step_of(window_end_us: int) -> int:
    """Return the step of a window: the day of its end, counted from 1970."""
    return window_end_us // MICROSECONDS // _DAY_SECONDS


def metric_key(name: str) -> str:
    """Return a column's name in the characters that MLflow allows in a metric's, distinct for distinct names."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-. ") else "_" for c in name)[:200]
    exact = "" if plain == name else "." + hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{plain}{exact}"
