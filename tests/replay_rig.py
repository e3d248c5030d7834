"""Requests that a real model answered, in a store, so that another version can be asked about them."""

import io
from collections.abc import Sequence
from typing import Any

import mlflow
import pandas as pd
import store_traffic as traffic
from mlflow.models import infer_signature
from mlflow.pyfunc.scoring_server import predictions_to_json
from monitor_rig import load
from sklearn.base import BaseEstimator

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.records import Arm, ModelIdentity, invocation_id_text, now_us


def register(name: str, model: BaseEstimator, example: pd.DataFrame, signature: Any = None) -> ModelIdentity:
    """Register a fitted estimator as the next version of ``name``."""
    mlflow.set_experiment("training")
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=name, pip_requirements=[],
            signature=signature or infer_signature(example, model.predict(example)),
        )  # fmt: skip
    return MlflowLink().resolve(f"models:/{name}/{info.registered_model_version}")


def answer(
    context: JobContext, identity: ModelIdentity, model: Any, rows: pd.DataFrame, request_rows: int = 3,
    arm: Arm = Arm.CHAMPION,
) -> list[tuple[str, int]]:  # fmt: skip
    """Have ``model`` answer the rows as the server would, and load them; return request id and row of each."""
    invocations, places = [], []
    for start in range(0, len(rows), request_rows):
        part = rows[start : start + request_rows]
        text = io.StringIO()
        predictions_to_json(model.predict(part), text)
        body = {"dataframe_split": part.to_dict(orient="split", index=False)}
        invocations.append(traffic.invocation(body, text.getvalue().encode(), at_us=now_us(), arm=arm))
        places += [(invocation_id_text(invocations[-1].id), i) for i in range(len(part))]
    traffic.fill(context.home / "spool", invocations, identity)
    load(context)
    return places


def label(context: JobContext, places: Sequence[tuple[str, int]], truth: Sequence[Any]) -> None:
    """Load a label for each of the rows."""
    records = [{"request_id": id_, "row": row, "label": said} for (id_, row), said in zip(places, truth, strict=True)]
    load_labels(context.engine, LabelSettings(), records, Fields(), "")
