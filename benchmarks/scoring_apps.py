"""Applications to measure, each alone, under the layer, and under the layer that records; for ``uvicorn --factory``.

``plain`` reads the body and answers a few bytes; ``framework`` does that as a route of FastAPI, which MLflow's is too;
``model`` is MLflow's over the model in the folder that ``BENCHMARK_MODEL`` names; ``fast`` and ``batches`` serve that
model as a worker of ``driftline serve`` does. Home and spool are configured as for ``driftline serve``.
"""

import gc
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.prediction_pool import BatchLimits, PredictionPool
from driftline.scorer.served_model import ServedModel
from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.prediction_columns import prediction_columns
from driftline.store.records import Arm, InvocationFields, ModelIdentity
from driftline.store.settings import load_base, load_section
from driftline.store.spool.record import Kind
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool
from driftline.store.typed_payload import TypedLayout

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

COLUMNS = [f"f{i:02d}" for i in range(20)]
RECORD, RECORD_NOT = signal.SIGUSR1, signal.SIGUSR2
ANSWER = b'{"predictions": [0.25]}'
# A regression's sums differ in their last bits between a row alone and the same row among others.
_BATCHES = BatchLimits(rows=64, wait_seconds=0.005, tolerance=1e-9)
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())],
}


def body(rows: int) -> bytes:
    """Return a request of ``rows`` rows of 20 doubles."""
    data = [[round((row * 20 + column) / 7 % 10, 6) for column in range(20)] for row in range(rows)]
    return json.dumps({"dataframe_split": {"columns": COLUMNS, "data": data}}).encode()


def identity() -> ModelIdentity:
    """Return a model whose signature fits ``body`` and ``ANSWER``, so that a loader makes rows of them."""
    inputs = [{"name": name, "type": "double", "required": True} for name in COLUMNS]
    output = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
    signature = {"inputs": json.dumps(inputs), "outputs": json.dumps(output), "params": None}
    return ModelIdentity(name="bench", version="1", uri="models:/bench/1", signature=signature)


async def answer_plain(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, then answer always the same."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body", False):
        pass
    await send(_START)
    await send({"type": "http.response.body", "body": ANSWER})


class NothingRecorded(Tee):
    """A tee that keeps nothing: what is left of the layer is not the tee's cost."""

    def record(self, invocation: InvocationFields, kind: Kind = Kind.INVOCATION) -> int | None:
        return None


class SwitchedTee(Tee):
    """Records until ``RECORD_NOT`` arrives, and again from ``RECORD`` on: two processes differ by more than the tee."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._records = True
        signal.signal(RECORD, lambda *_: self._switch(records=True))
        signal.signal(RECORD_NOT, lambda *_: self._switch(records=False))

    def record(self, invocation: InvocationFields, kind: Kind = Kind.INVOCATION) -> int | None:
        return super().record(invocation, kind) if self._records else None

    def _switch(self, *, records: bool) -> None:
        self._records = records


def under_layer(app: App, folder: Path, settings: SpoolSettings, kind: type[Tee] = Tee) -> App:
    """Return ``app`` under the layer, with a real spool in ``folder`` and counters of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    tally = TallySheet.create(1).claim()
    tee = kind(Spool.open(folder, settings), identity(), tally)
    pool = PredictionPool()
    served = ServedModel(
        arm=Arm.CHAMPION, model=None, app=app, predictor=None, tee=tee, tally=tally, pool=pool, timeout_seconds=60.0
    )
    return ScoringLayer(served, pool)


def served_model(folder: Path, settings: SpoolSettings, kind: type[Tee], batches: BatchLimits | None) -> App:
    """Return the layer over the model that ``BENCHMARK_MODEL`` names, with the fast path."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet, pool = TallySheet.create(1), PredictionPool(batches=batches)
    tally = sheet.claim()
    served = ServedModel.load(
        Path(os.environ["BENCHMARK_MODEL"]),
        Arm.CHAMPION,
        pool,
        lambda: kind(Spool.open(folder, settings), identity(), tally),
        tally,
        typed_layout=TypedLayout.of(prediction_columns(identity().signature)),
    )
    tally.loaded(0, 0)
    if batches and not sheet.totals().batching["on"]:
        raise SystemExit("the benchmark's model is not predicted in batches: the figures would not be what they say")
    return ScoringLayer(served, pool)


def create_app() -> App:
    """Return the application that ``BENCHMARK_APP`` names, under what ``BENCHMARK_LAYER`` names."""
    applications: dict[str, Callable[[], App]] = {
        "plain": lambda: answer_plain,
        "framework": _framework,
        "model": _mlflow,
    }
    name = os.environ["BENCHMARK_APP"]
    kind = {"bare": None, "layer": NothingRecorded, "tee": Tee, "switched": SwitchedTee}[os.environ["BENCHMARK_LAYER"]]
    folder, settings = load_base().spool_folder, load_section(SpoolSettings, "spool")
    if kind is None:
        app = applications[name]()
    elif name in applications:
        app = under_layer(applications[name](), folder, settings, kind)
    else:
        app = served_model(folder, settings, kind, _BATCHES if name == "batches" else None)
    # As a worker of `driftline serve` does: what is loaded now is not the collector's business.
    gc.collect()
    gc.freeze()
    return app


def _framework() -> Any:
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    async def invocations(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, media_type="application/json")

    app.post("/invocations")(invocations)
    return app


def _mlflow() -> Any:
    from mlflow.pyfunc import scoring_server

    return scoring_server.init(scoring_server.load_model_with_mlflow_config(os.environ["BENCHMARK_MODEL"]))
