"""Texts of many values, bytes, nested objects, arrays, times and tensors: every job judges them and none fails."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from monitor_rig import TinyModel, load
from numpy.typing import NDArray
from sqlalchemy import select

from driftline.monitor.drift.calibration import calibrate
from driftline.monitor.jobs import drift_job, multivariate_job, quality_job
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.rows.results import Result
from driftline.monitor.training.reference import save
from driftline.monitor.training.reference_sample import draw_sample
from driftline.store import schema
from driftline.store.payload.typed_cells import typed_column
from driftline.store.prediction_columns import prediction_columns
from driftline.store.profile.reference import build_reference
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id, now_us
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

pytestmark = pytest.mark.thorough

COLUMNS = {
    "inputs": json.dumps([
        {"name": "note", "type": "string", "required": True}, {"name": "blob", "type": "binary", "required": True},
        {"name": "at", "type": "datetime", "required": True},
        {"name": "basket", "type": "array", "required": True, "items": {"type": "string"}},
        {"name": "person", "type": "object", "required": True,
         "properties": {"age": {"type": "long", "required": True}}},
    ]),
    "outputs": json.dumps([{"name": "class", "type": "string"}, {"name": "score", "type": "double"}]),
}  # fmt: skip
TENSORS = {
    "inputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2, 3]}}]),
    "outputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]),
}


def cells(count: int, seed: int, *, long: bool = False) -> list[dict[str, Any]]:
    """Rows of the columns; ``long`` ones have longer notes, baskets and blobs, and another share of classes."""
    rng = np.random.default_rng(seed)
    return [
        {
            "note": f"case {rng.integers(10**12)}" + " again" * long,
            "blob": rng.bytes(int(rng.integers(20, 40)) * (3 if long else 1)),
            "at": f"2024-01-{1 + i % 28:02}T10:00:00",
            "basket": ["apple"] * int(rng.integers(1, 9)) * (3 if long else 1),
            "person": {"age": int(rng.integers(90))},
            "class": str(rng.choice(["yes", "no"], p=[0.8, 0.2] if long else [0.3, 0.7])),
            "score": float(rng.random()),
        }
        for i in range(count)
    ]


def typed(signature: dict[str, str], rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    return {c.column_name: typed_column(c.type, [row[c.name] for row in rows]) for c in prediction_columns(signature)}


def served(identity: ModelIdentity, rows: list[dict[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield requests of 100 rows and their answers."""
    for start in range(0, len(rows), 100):
        part = [dict(row, blob=base64.b64encode(row["blob"]).decode()) for row in rows[start : start + 100]]
        inputs = [{k: v for k, v in row.items() if k not in ("class", "score")} for row in part]
        yield {"dataframe_records": inputs}, [{"class": row["class"], "score": row["score"]} for row in part]


def send(context: JobContext, identity: ModelIdentity, answered: Iterator[tuple[Any, Any]]) -> None:
    folder = context.home / "spool"
    folder.mkdir(exist_ok=True)
    spool, received = Spool.open(folder, SpoolSettings(ring_bytes=1 << 22, overflow_bytes=1 << 22)), now_us()
    index = spool.declare_model(identity)
    for request, predictions in answered:
        invocation = Invocation(
            id=new_invocation_id(received), received_at_us=received, status=200, arm=Arm.CHAMPION, latency_us=1000,
            content_type=b"application/json", client_request_id=b"", request=json.dumps(request).encode(),
            response=json.dumps({"predictions": predictions}).encode(),
        )  # fmt: skip
        spool.append(index, invocation.pack(), received)
    spool.close()
    load(context)


def put_reference(context: JobContext, tiny: TinyModel, signature: dict[str, str], data: Any) -> ModelIdentity:
    """Put the reference of an unusual model into the store and return the model."""
    built = tiny.named("unusual")
    identity = replace(built.identity, signature=signature)
    reference = build_reference(prediction_columns(signature), data, source="test", made_at_us=now_us())
    save(
        context.engine,
        replace(built, identity=identity, reference=calibrate(reference), sample=draw_sample(data)),
        context.home,
    )
    return identity


def judged(context: JobContext) -> dict[str, tuple[str, str]]:
    """Run every job; return statistic and verdict by column."""
    for job in (drift_job, quality_job, multivariate_job):
        outcome = job.run(context).outcomes["unusual/1"]
        assert outcome.result is Result.SUCCESS, outcome.message
    t = schema.drift_result.c
    with context.engine.connect() as connection:
        rows = connection.execute(select(t.column_name, t.statistic, t.verdict)).all()
    return {row.column_name: (row.statistic, row.verdict) for row in rows}


@pytest.fixture(scope="module")
def training() -> dict[str, NDArray[Any]]:
    """The columns of 100,000 training rows, whose notes all differ."""
    return typed(COLUMNS, cells(100_000, 1))


def test_texts_bytes_and_nested_cells_like_the_training_rows_are_no_drift(
    sqlite_context: JobContext, tiny: TinyModel, training: dict[str, NDArray[Any]]
) -> None:
    identity = put_reference(sqlite_context, tiny, COLUMNS, training)
    send(sqlite_context, identity, served(identity, cells(1_000, 2)))
    verdicts = judged(sqlite_context)
    assert verdicts.pop("at")[1] == "values not judged"  # times always move on
    assert {verdict for _, verdict in verdicts.values()} == {"no drift"}
    assert verdicts["class"][0] == "jensen_shannon"


def test_longer_texts_bytes_and_arrays_and_other_class_shares_are_drift(
    sqlite_context: JobContext, tiny: TinyModel, training: dict[str, NDArray[Any]]
) -> None:
    identity = put_reference(sqlite_context, tiny, COLUMNS, training)
    send(sqlite_context, identity, served(identity, cells(1_000, 3, long=True)))
    drifted = {column for column, (_, verdict) in judged(sqlite_context).items() if verdict == "drift"}
    assert drifted == {"note", "blob", "basket", "class"}


def test_tensors_are_judged_by_their_length_and_their_outputs_one_by_one(
    sqlite_context: JobContext, tiny: TinyModel
) -> None:
    def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rng = np.random.default_rng(seed)
        return rng.normal(size=(count, 2, 3)).round(3), rng.dirichlet([1, 1, 1], count)

    tensors, shares = drawn(3_000, 1)
    (first, *outputs) = prediction_columns(TENSORS)
    data = {first.column_name: typed_column(first.type, list(tensors))}
    data |= {c.column_name: shares[:, i] for i, c in enumerate(outputs)}
    identity = put_reference(sqlite_context, tiny, TENSORS, data)
    live, answers = drawn(1_000, 2)
    answers[:, 1] **= 0.5
    requests = ({"inputs": live[i : i + 100].tolist()} for i in range(0, 1_000, 100))
    send(
        sqlite_context,
        identity,
        zip(requests, (answers[i : i + 100].tolist() for i in range(0, 1_000, 100)), strict=True),
    )
    verdicts = judged(sqlite_context)
    assert {c.name for c in outputs} == set(verdicts) - {first.name}
    assert verdicts[first.name][1] == "no drift"
    assert [verdict for _, verdict in (verdicts[c.name] for c in outputs)] == ["no drift", "drift", "no drift"]
