"""Invocations as a scorer would append them, for the store's tests and benchmarks."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from driftline.store.prediction_columns import prediction_columns
from driftline.store.profile.reference import Reference, build_reference
from driftline.store.records import Arm, Invocation, ModelIdentity, new_invocation_id
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

START_US = 1_795_000_000_000_000
SETTINGS = SpoolSettings(ring_bytes=1 << 20, min_free_bytes=0)


def signature(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a signature as the scorer passes it on; the default output is one column of int64."""
    outputs = outputs or [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
    return {"inputs": orjson.dumps(inputs).decode(), "outputs": orjson.dumps(outputs).decode(), "params": None}


CLF = ModelIdentity(
    name="clf", version="1", uri="models:/clf/1",
    signature=signature([
        {"name": "age", "type": "double", "required": True}, {"name": "visits", "type": "long", "required": True},
        {"name": "plan", "type": "string", "required": True},
    ]),
)  # fmt: skip


def invocation(
    body: Any, answer: Any, *, status: int = 200, at_us: int = START_US, content_type: bytes = b"application/json",
    arm: Arm = Arm.CHAMPION,
) -> Invocation:  # fmt: skip
    """Return an invocation; ``body`` and ``answer`` are bytes, or what their JSON says."""
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (body, answer)]
    return Invocation(new_invocation_id(at_us), at_us, status, arm, 1500, content_type, b"", raw[0], raw[1])


def clf_traffic(count: int, seed: int = 0) -> Iterator[Invocation]:
    """Yield invocations of ``CLF``: one to three rows, some errors, spread over minutes and arms."""
    rng = random.Random(seed)
    for i in range(count):
        at_us = START_US + i * 700_000
        if rng.random() < 0.05:
            yield invocation(b"{", {"error_code": "BAD_REQUEST", "message": "no"}, status=400, at_us=at_us)
            continue
        rows = [
            [rng.choice([rng.gauss(40, 10), None]), rng.randrange(20), rng.choice(["gold", "basic", "né\u0000w"])]
            for _ in range(rng.choice([1, 1, 1, 2, 3]))
        ]
        body = {"dataframe_split": {"columns": ["age", "visits", "plan"], "data": rows}}
        arm = rng.choice([Arm.CHAMPION, Arm.CHAMPION, Arm.SHADOW])
        yield invocation(body, {"predictions": [rng.randrange(2) for _ in rows]}, at_us=at_us, arm=arm)


def fill(folder: Path, invocations: Iterator[Invocation] | list[Invocation], identity: ModelIdentity = CLF) -> str:
    """Append to a new spool under ``folder``, close it and return its uuid."""
    folder.mkdir(parents=True, exist_ok=True)
    spool = Spool.open(folder, SETTINGS)
    model = spool.declare_model(identity)
    for one in invocations:
        spool.append(model, one.pack(), one.received_at_us)
    spool.close()
    return spool.uuid


def clf_training(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Return training rows of ``CLF`` by column name."""
    rng = np.random.default_rng(seed)
    return {
        "in_age": rng.normal(40, 10, 500), "in_visits": rng.integers(0, 20, 500),
        "in_plan": rng.choice(np.array(["gold", "basic"], dtype=object), 500),
        "out_prediction": rng.integers(0, 2, 500),
    }  # fmt: skip


def clf_reference(seed: int = 0) -> Reference:
    """Return a training reference of ``CLF``."""
    data = clf_training(seed)
    return build_reference(prediction_columns(CLF.signature), data, source="test", made_at_us=START_US)
