"""Settings of the scoring server beyond those of ``mlflow models serve``."""

from dataclasses import dataclass
from pathlib import Path

from driftline.store.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ScorerSettings:
    """Section ``scorer``.

    Attributes:
        metrics_port: where the parent process answers ``/metrics``; the scoring port stays MLflow's alone.
        metrics_host: interface of the metrics port; without it that of the scoring port.
        start_without_store: start although the database does not answer; the spool keeps what it would have taken.
        durable_wait_seconds: with ``durability = "power"``, how long an answer waits for the medium before it leaves
            anyway (and is counted).
        state_poll_seconds: how often the spools are inspected for the metrics.
        registry_poll_seconds: how often the registry is asked what an alias, a stage or ``latest`` means now; what it
            means then replaces what is served, without a restart. 0 asks at the start only.
        shadow: a model that scores the same requests after they were answered, without answering anybody.
        shadow_threads: its predictions at a time in each worker.
        shadow_queued_requests: requests of a worker that may wait for it; more are skipped and counted.
        canary: a model that answers a share of the requests: ``models:/name@canary=10%``.
        canary_header: requests with the same value in this header go the same way; without it a request goes by its own
            id.
        version_headers: answers of ``/invocations`` say in headers which arm and which model version gave them.
        max_body_bytes: a larger request is answered with 413; 0 is no limit.
        prediction_threads: predictions at a time in each worker; without it as many as MLflow's server has (four more
            than cores, 32 at most).
        max_queued_requests: requests of a worker that may wait for a thread; more are answered with 503.
        max_batch_rows: concurrent requests become one prediction of up to so many rows; 0 predicts each alone.
        max_batch_wait_ms: the longest that a request waits for such a prediction while an earlier one runs.
        batch_tolerance: how far a number in a batch's answer may differ from the same request's alone, absolutely or
            relatively; 0 asks for equal bytes. Checked when a model is loaded.
        rate_limit_per_second: requests that one caller (a token, else a client address) may send to each worker; who
            sends more is answered with 429. 0 is no limit.
        rate_limit_burst: requests that a caller may send at once after a pause; 0 means those of one second.
        token_file: file of bearer tokens, one per line; scoring then asks for one of them.
        metrics_token_file: the same for the metrics port.
        protect_health: ask for a token on ``/ping``, ``/health`` and ``/version`` too.
        aliases: further paths by which clients know the routes: ``/score=/invocations,/=/ping``.
        tls_certfile, tls_keyfile: certificate chain and key (PEM) of both ports; without them both speak plain HTTP.
        tls_client_ca: certificates (PEM); clients of both ports then have to show one that these have signed.
    """

    metrics_port: int = 9107
    metrics_host: str | None = None
    start_without_store: bool = False
    durable_wait_seconds: float = 1.0
    state_poll_seconds: float = 5.0
    registry_poll_seconds: float = 30.0
    shadow: str | None = None
    shadow_threads: int = 1
    shadow_queued_requests: int = 100
    canary: str | None = None
    canary_header: str = ""
    version_headers: bool = True
    max_body_bytes: int = 100_000_000
    prediction_threads: int | None = None
    max_queued_requests: int = 1000
    max_batch_rows: int = 0
    max_batch_wait_ms: float = 5.0
    batch_tolerance: float = 0.0
    rate_limit_per_second: float = 0.0
    rate_limit_burst: int = 0
    token_file: Path | None = None
    metrics_token_file: Path | None = None
    protect_health: bool = False
    aliases: str = ""
    tls_certfile: Path | None = None
    tls_keyfile: Path | None = None
    tls_client_ca: Path | None = None

    def __post_init__(self) -> None:
        least = {
            "registry_poll_seconds": 0,
            "prediction_threads": 1,
            "max_queued_requests": 0,
            "max_batch_rows": 0,
            "max_batch_wait_ms": 0,
        }
        least |= {"shadow_threads": 1, "shadow_queued_requests": 0}
        for name, bound in {**least, "batch_tolerance": 0}.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ConfigurationError(f"scorer.{name} should be at least {bound}, found {value}")
