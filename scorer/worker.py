"""The application of one worker process: the model, MLflow's scoring app over it, and our layer around both.

The parent hands over one JSON document in a variable: where the worker finds its orders and leaves its reports and
records. MLflow's own variable for the model's path names what served first, and is not read.
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from driftline.scorer.access_log import AccessLines
from driftline.scorer.arms import Canary, CanaryOption
from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.asgi_types import ASGIApp
from driftline.scorer.door import Door
from driftline.scorer.hot_swap import HotSwap
from driftline.scorer.load_reports import ReportPipe
from driftline.scorer.model_code import own_code
from driftline.scorer.model_loader import ModelLoader
from driftline.scorer.orders import ModelOrder, OrderBoard
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.route_aliases import RouteAliases
from driftline.scorer.served_model import ServedModel
from driftline.scorer.settings import ScorerSettings
from driftline.scorer.shadow import Shadow
from driftline.scorer.stderr_log import log_to_stderr
from driftline.scorer.tied_process import tie_to_parent
from driftline.store.errors import DriftlineError
from driftline.store.loader.settings import LoaderSettings
from driftline.store.records import Arm, now_us
from driftline.store.redaction import load_redaction
from driftline.store.settings import load_section
from driftline.store.spool.settings import SpoolSettings
from driftline.store.typed_payload import bodies_may_be_left_out

_VARIABLE = "_DRIFTLINE_WORKER"  # not DRIFTLINE_*: no setting
STARTUP_FAILURE = 3  # uvicorn's: its parent stops instead of starting the same failure again

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker is told.

    Attributes:
        board_path: what it serves, see ``orders``.
        reports_path: where it says what became of that, see ``load_reports``.
        spool_folder: where it makes its spool.
        durable_wait_seconds: bound of an answer's wait for the medium under ``durability = "power"``.
    """

    board_path: Path
    reports_path: Path
    spool_folder: Path
    durable_wait_seconds: float

    def environment(self) -> dict[str, str]:
        """Return the variables for the worker's environment."""
        document = {
            "board_path": str(self.board_path),
            "reports_path": str(self.reports_path),
            "spool_folder": str(self.spool_folder),
            "durable_wait_seconds": self.durable_wait_seconds,
        }
        return {_VARIABLE: orjson.dumps(document).decode()}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        if _VARIABLE not in environ:
            raise DriftlineError("a worker is started by `driftline serve` only: run that")
        document = orjson.loads(environ[_VARIABLE])
        return cls(
            board_path=Path(document["board_path"]),
            reports_path=Path(document["reports_path"]),
            spool_folder=Path(document["spool_folder"]),
            durable_wait_seconds=document["durable_wait_seconds"],
        )


def create_app() -> ASGIApp:
    """Load the model, open the spool and return the application; a failure ends the process for good."""
    tie_to_parent(os.getppid())
    log_to_stderr()
    AccessLines.install()
    try:
        layer = _load(WorkerOrder.from_environment())
        # What is loaded now stays for long: a full collection over it would stall answers by 0.15 s. A version that is
        # replaced is thawed when it goes (``hot_swap``).
        gc.collect()
        gc.freeze()
        return RouteAliases.parse(load_section(ScorerSettings, "scorer").aliases).over(layer)
    except DriftlineError as error:
        print(f"driftline: {error}", file=sys.stderr)
    except Exception as error:
        _log.exception("the model could not be loaded")
        print(
            f"driftline: the model could not be loaded ({type(error).__name__}): install what it needs here, see "
            f"`pip install -r` with the requirements.txt beside its MLmodel file",
            file=sys.stderr,
        )
    sys.exit(STARTUP_FAILURE)


def _load(worker: WorkerOrder) -> ScoringLayer:
    settings = load_section(ScorerSettings, "scorer")
    pool = PredictionPool.open(settings)
    shadow_pool = PredictionPool(settings.shadow_threads, settings.shadow_queued_requests)
    spool = load_section(SpoolSettings, "spool")
    loader = ModelLoader(
        pool,
        shadow_pool,
        worker.spool_folder,
        spool,
        worker.durable_wait_seconds,
        settings.version_headers,
        bodies_may_be_left_out(load_section(LoaderSettings, "loader").raw_bodies),
        load_redaction(),
    )
    board = OrderBoard.attach(worker.board_path)
    serving = board.read().proven
    models = _load_models(loader, serving)
    layer = ScoringLayer(
        models[Arm.CHAMPION],
        pool,
        Door.open(settings),
        _canary(models, settings),
        _shadow(models, settings, shadow_pool),
    )
    layer.meanwhile = HotSwap(layer, serving, board, ReportPipe.attach(worker.reports_path), loader.load).follow
    return layer


def _load_models(loader: ModelLoader, orders: Mapping[Arm, ModelOrder]) -> dict[Arm, ServedModel]:
    models: dict[Arm, ServedModel] = {}
    for arm, order in orders.items():
        begin = time.perf_counter_ns()
        with own_code(order.path, {orders[loaded].path for loaded in models} - {order.path}):
            try:
                models[arm] = loader.load(order)
            except Exception as error:
                error.add_note(f"while the {arm.name.lower()}, {order.identity.uri}, was loaded")
                raise
        models[arm].tally.loaded(now_us(), (time.perf_counter_ns() - begin) // 1000)
    return models


def _canary(models: Mapping[Arm, ServedModel], settings: ScorerSettings) -> Canary | None:
    if settings.canary is None:
        return None
    return Canary(models[Arm.CANARY], CanaryOption.parse(settings.canary).share, settings.canary_header)


def _shadow(models: Mapping[Arm, ServedModel], settings: ScorerSettings, pool: PredictionPool) -> Shadow | None:
    return None if settings.shadow is None else Shadow(models[Arm.SHADOW], pool, settings.shadow_queued_requests)
