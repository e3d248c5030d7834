"""Settings of the scoring server beyond those of ``mlflow models serve``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScorerSettings:
    """Section ``scorer``.

    Attributes:
        metrics_port: where the parent process answers ``/metrics``; the scoring port stays MLflow's alone.
        metrics_host: interface of the metrics port; None means that of the scoring port.
        start_without_store: start although the database does not answer; the spool keeps what it would have taken.
        durable_wait_seconds: with ``durability = "power"``, how long an answer waits for the medium before it leaves
            anyway (and is counted).
        state_poll_seconds: how often the spools are inspected for the metrics.
    """

    metrics_port: int = 9107
    metrics_host: str | None = None
    start_without_store: bool = False
    durable_wait_seconds: float = 1.0
    state_poll_seconds: float = 5.0
