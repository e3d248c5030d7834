"""Settings of the scoring server beyond those of ``mlflow models serve``."""

from dataclasses import dataclass
from pathlib import Path


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
        max_body_bytes: a larger request is answered with 413; 0 is no limit.
        rate_limit_per_second: requests that one caller (a token, else a client address) may send to each worker; who
            sends more is answered with 429. 0 is no limit.
        rate_limit_burst: requests that a caller may send at once after a pause; 0 means those of one second.
        token_file: file of bearer tokens, one per line; scoring then asks for one of them.
        metrics_token_file: the same for the metrics port.
        protect_health: ask for a token on ``/ping``, ``/health`` and ``/version`` too.
        tls_certfile, tls_keyfile: certificate chain and key (PEM) of both ports; without them both speak plain HTTP.
        tls_client_ca: certificates (PEM); clients of both ports then have to show one that these have signed.
    """

    metrics_port: int = 9107
    metrics_host: str | None = None
    start_without_store: bool = False
    durable_wait_seconds: float = 1.0
    state_poll_seconds: float = 5.0
    max_body_bytes: int = 100_000_000
    rate_limit_per_second: float = 0.0
    rate_limit_burst: int = 0
    token_file: Path | None = None
    metrics_token_file: Path | None = None
    protect_health: bool = False
    tls_certfile: Path | None = None
    tls_keyfile: Path | None = None
    tls_client_ca: Path | None = None
