"""The application of one worker process: the model, MLflow's scoring app over it, and our layer around both.

The parent hands over what it resolved in two variables: MLflow's own for the model's path, and one JSON document.
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

from driftline.scorer.asgi import ScoringLayer
from driftline.scorer.door import Door
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.served_model import ServedModel
from driftline.scorer.settings import ScorerSettings
from driftline.scorer.tally import Tally, TallySheet
from driftline.scorer.tee import Tee
from driftline.scorer.tied_process import tie_to_parent
from driftline.store.errors import DriftlineError
from driftline.store.records import Arm, ModelIdentity, now_us
from driftline.store.settings import load_section
from driftline.store.spool.settings import SpoolSettings
from driftline.store.spool.spool import Spool

_VARIABLE = "_DRIFTLINE_WORKER"  # not DRIFTLINE_*: no setting
STARTUP_FAILURE = 3  # uvicorn's: its parent stops instead of starting the same failure again

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker is told.

    Attributes:
        identity: the model version it serves.
        spool_folder: where it makes its spool.
        tally_path: the shared counters.
        durable_wait_seconds: bound of an answer's wait for the medium under ``durability = "power"``.
    """

    identity: ModelIdentity
    spool_folder: Path
    tally_path: Path
    durable_wait_seconds: float

    def environment(self) -> dict[str, str]:
        """Return the variables for the worker's environment."""
        document = {
            "identity": self.identity.to_json().decode(),
            "spool_folder": str(self.spool_folder),
            "tally_path": str(self.tally_path),
            "durable_wait_seconds": self.durable_wait_seconds,
        }
        return {_VARIABLE: orjson.dumps(document).decode()}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        if _VARIABLE not in environ:
            raise DriftlineError("a worker is started by `driftline serve` only: run that")
        document = orjson.loads(environ[_VARIABLE])
        return cls(
            identity=ModelIdentity.from_json(document["identity"].encode()),
            spool_folder=Path(document["spool_folder"]),
            tally_path=Path(document["tally_path"]),
            durable_wait_seconds=document["durable_wait_seconds"],
        )


def create_app() -> ScoringLayer:
    """Load the model, open the spool and return the application; a failure ends the process for good."""
    tie_to_parent(os.getppid())
    _log_to_stderr()
    try:
        order = WorkerOrder.from_environment()
        tally = TallySheet.attach(order.tally_path).claim()
        layer = _load(order, tally)
        # What is loaded now lives as long as the process: a full collection over it would stall answers by 0.15 s.
        gc.collect()
        gc.freeze()
        return layer
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


def _load(order: WorkerOrder, tally: Tally) -> ScoringLayer:
    from mlflow.pyfunc import scoring_server

    settings = load_section(ScorerSettings, "scorer")
    pool = PredictionPool.open(settings)
    begin = time.perf_counter_ns()
    path = Path(os.environ[scoring_server._SERVER_MODEL_PATH])
    champion = ServedModel.load(path, Arm.CHAMPION, pool, lambda: _open_tee(order, tally), tally)
    tally.loaded(now_us(), (time.perf_counter_ns() - begin) // 1000)
    return ScoringLayer(champion, pool, Door.open(settings))


def _open_tee(order: WorkerOrder, tally: Tally) -> Tee:
    settings = load_section(SpoolSettings, "spool")
    wait = order.durable_wait_seconds if settings.durability == "power" else None
    return Tee(Spool.open(order.spool_folder, settings), order.identity, tally, wait)


def _log_to_stderr() -> None:
    log = logging.getLogger("driftline")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("driftline: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
