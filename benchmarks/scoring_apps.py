"""Applications to measure, each alone and under the layer that records; served by ``uvicorn --factory``.

``plain`` reads the body and answers a few bytes; ``framework`` does that as a route of FastAPI, which MLflow's is too;
``model`` is MLflow's over the model in the folder that ``BENCHMARK_MODEL`` names. Home and spool are configured as for
``driftline serve``.
"""

import gc
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.served_model import ServedModel
from driftline.scorer.tally import TallySheet
from driftline.scorer.tee import Tee
from driftline.store.records import Arm, ModelIdentity
from driftline.store.settings import load_base, load_section
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

COLUMNS = [f"f{i:02d}" for i in range(20)]
ANSWER = b'{"predictions": [0.25]}'
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


def under_tee(app: App, folder: Path, settings: SpoolSettings) -> App:
    """Return ``app`` under the layer, with a real spool in ``folder`` and counters of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    tally = TallySheet.create(1).claim()
    tee = Tee(Spool.open(folder, settings), identity(), tally)
    return ScoringLayer(ServedModel(Arm.CHAMPION, app, None, tee, tally, timeout_seconds=60.0), PredictionPool())


def plain() -> App:
    return _settled(answer_plain)


def plain_with_tee() -> App:
    return _settled(_under_configured_tee(answer_plain))


def framework() -> App:
    return _settled(_framework())


def framework_with_tee() -> App:
    return _settled(_under_configured_tee(_framework()))


def model() -> App:
    return _settled(_mlflow())


def model_with_tee() -> App:
    return _settled(_under_configured_tee(_mlflow()))


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


def _under_configured_tee(app: App) -> App:
    return under_tee(app, load_base().spool_folder, load_section(SpoolSettings, "spool"))


def _settled(app: App) -> App:
    """Take what is loaded out of the collector's sight, as a worker of ``driftline serve`` does."""
    gc.collect()
    gc.freeze()
    return app
