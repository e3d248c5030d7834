"""Answered rows and their labels, for tests of performance: the way of the data, from spool to store to hours."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pandas as pd
from monitor_rig import load
from numpy.typing import NDArray

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance.reference_performance import measure
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.store.backfill import put_in_force
from driftline.store.engine import writing
from driftline.store.labels.loading import LabelReport, load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile.reference import build_reference
from driftline.store.records import Arm, Invocation, ModelIdentity, invocation_id_text, new_invocation_id
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

HOUR_US = 3_600_000_000
Places = list[tuple[str, int]]  # request id and row


def identity(name: str, inputs: Sequence[str], outputs: list[dict[str, Any]]) -> ModelIdentity:
    """Return a model of decimal inputs."""
    told = [{"name": column, "type": "double", "required": True} for column in inputs]
    signature = {"inputs": orjson.dumps(told).decode(), "outputs": orjson.dumps(outputs).decode(), "params": None}
    return ModelIdentity(name=name, version="1", uri=f"models:/{name}/1", signature=signature)


def tensor(*shape: int) -> list[dict[str, Any]]:
    """Return a nameless tensor output, as MLflow infers it from an array."""
    return [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": list(shape)}}]


def answer(
    context: JobContext,
    model: ModelIdentity,
    frame: pd.DataFrame,
    answers: Any,
    at_us: int,
    arm: Arm = Arm.CHAMPION,
    ids: Places | None = None,
) -> Places:
    """Have the rows answered at a time, 50 a request; return where each is. ``ids``: of requests answered before."""
    (context.home / "spool").mkdir(exist_ok=True)
    spool = Spool.open(context.home / "spool", SpoolSettings(ring_bytes=1 << 20, overflow_bytes=1 << 20))
    index, places = spool.declare_model(model), []
    for start in range(0, len(frame), 50):
        part = frame[start : start + 50]
        given = answers[start : start + 50]
        id_ = new_invocation_id(at_us) if ids is None else bytes.fromhex(ids[start][0].replace("-", ""))
        request = Invocation(
            id=id_, received_at_us=at_us, status=200, arm=arm, latency_us=1000, content_type=b"application/json",
            client_request_id=b"",
            request=json.dumps({"dataframe_split": part.to_dict(orient="split", index=False)}).encode(),
            response=json.dumps({"predictions": np.asarray(given).tolist()}).encode(),
        )  # fmt: skip
        spool.append(index, request.pack(), at_us)
        places += [(invocation_id_text(id_), row) for row in range(len(part))]
    spool.close()
    load(context)
    return places


def label(context: JobContext, places: Places, values: Sequence[Any], event_us: int) -> LabelReport:
    """Tell what turned out to be true of rows."""
    records = [
        {"request_id": id_, "row": row, "label": value, "event_time": event_us / 1e6}
        for (id_, row), value in zip(places, np.asarray(values).tolist(), strict=True)
    ]
    return load_labels(context.engine, LabelSettings(), records, Fields(), "")


COINS = identity("coins", ["a"], tensor(-1, 2))


def coins(seed: int, count: int, easy: float = 0.5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities of both classes and labels that come true as they say; less ``easy``, nearer to a half."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(easy, easy, count)
    return np.stack([1 - scores, scores], axis=1), (rng.random(count) < scores).astype(np.int64)


def save_coins_reference(context: JobContext) -> None:
    """Put a reference of ``COINS`` into force that holds the model's performance."""
    with writing(context.engine) as connection:
        version = ensure_model_version(connection, COINS)
    answers, labels = coins(1, 5_000)
    outputs = [c for c in version.columns if c.side == "output"]
    data = {c.column_name: answers[:, place] for place, c in enumerate(outputs)}
    found = measure("coins", outputs, data, labels.tolist(), PerformanceSettings(), "5000 held-out rows")
    reference = build_reference(version.columns, data | {"in_a": np.zeros(5_000)}, source="test", made_at_us=0)
    put_in_force(context.engine, version.id, replace(reference, performance=found.to_json()))
