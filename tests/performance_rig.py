"""Answered rows and their labels, for tests of performance: the way of the data, from spool to store to hours."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd
from monitor_rig import load

from driftline.monitor.jobs.job import JobContext
from driftline.store.labels.loading import LabelReport, load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
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
