"""A model version in a worker: how it answers, where it is recorded and counted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from driftline.scorer.asgi_types import ASGIApp, Headers
from driftline.scorer.prediction_pool import PredictionPool
from driftline.scorer.predictor import Predictor
from driftline.scorer.redacted_bodies import RedactedBodies
from driftline.scorer.tally import Tally
from driftline.scorer.tee import Tee
from driftline.scorer.time_limit import TimeLimit
from driftline.store.records import Arm
from driftline.store.typed_payload import TypedLayout


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What an exchange needs of the model version that answers it.

    Attributes:
        model: as MLflow has loaded it.
        app: MLflow's scoring application over this version.
        predictor: the fast path; None where the model never takes it.
        tee: into the worker's spool, under this version's identity.
        tally: the counts of this version.
        pool: where its predictions run.
        timeout_seconds: how long a request may take, as MLflow's application holds it.
        headers: what its answers say of it.
        redacted: makes bodies such as may be recorded; None where all may be.
        time_limit: that of ``timeout_seconds``, for the event loop that answers.
    """

    arm: Arm
    model: object
    app: ASGIApp
    predictor: Predictor | None
    tee: Tee
    tally: Tally
    pool: PredictionPool
    timeout_seconds: float
    headers: Headers = ()
    redacted: RedactedBodies | None = None
    time_limit: TimeLimit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_limit", TimeLimit(self.timeout_seconds))

    @classmethod
    def load(
        cls,
        path: Path,
        arm: Arm,
        pool: PredictionPool,
        open_tee: Callable[[], Tee],
        tally: Tally,
        headers: Headers = (),
        typed_layout: TypedLayout | None = None,
        redacted: RedactedBodies | None = None,
    ) -> Self:
        """Load the model in the folder ``path`` as MLflow's server does, and only then open its tee.

        Args:
            typed_layout: how rows are recorded instead of bodies; None records bodies.

        Raises:
            Exception: whatever MLflow or the model raises.
        """
        from mlflow.environment_variables import MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT
        from mlflow.pyfunc import scoring_server

        model = scoring_server.load_model_with_mlflow_config(str(path))
        app = scoring_server.init(model)
        predictor = Predictor.for_model(model, pool, tally, typed_layout)
        timeout = MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT.get()
        return cls(arm, model, app, predictor, open_tee(), tally, pool, timeout, headers, redacted)
