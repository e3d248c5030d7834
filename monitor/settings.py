"""Settings of the monitor (``[monitor]``) and of the report (``[report]``)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """How the monitor listens and what it does when.

    Attributes:
        host, port: of the monitor's HTTP server.
        drift_interval_seconds: pause between two runs of the drift job.
        reference_interval_seconds: pause between two looks into MLflow for references that the store lacks.
        rollup_interval_seconds: pause between two roll-ups of profiles to hours and days.
        retention_interval_seconds: pause between two looks for what ``[retention]`` does not keep any more.
        probe_interval_seconds: pause between two probes of store and MLflow.
        window_seconds: a version that is not its model's newest stays under watch for so long after its last rows; what
            the drift job judges is ``[drift] windows``.
        drift_share_threshold: share of drifted input columns above which the data set counts as drifted. Each column's
            threshold is already corrected for the number of columns, so 0 (any column) is the default.
        max_features: columns per model that get series of their own in ``/metrics``; the rest is counted.
        export_bins: whether ``/metrics`` has the shares of each column's bins, in the reference and in the window:
            about 25 more series per column, for heat maps.
        mlflow_url: address of MLflow's web pages, for links; empty: the tracking URI where that is http(s).
        token_file: file of bearer tokens, one per line; every page but ``/healthz`` then asks for one of them, from
            browsers as the password.
    """

    host: str = "127.0.0.1"
    port: int = 9108
    drift_interval_seconds: float = 300.0
    reference_interval_seconds: float = 300.0
    rollup_interval_seconds: float = 600.0
    retention_interval_seconds: float = 3600.0
    probe_interval_seconds: float = 30.0
    window_seconds: float = 86_400.0
    drift_share_threshold: float = 0.0
    max_features: int = 100
    export_bins: bool = False
    mlflow_url: str = ""
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What the report holds and when it is made.

    Attributes:
        schedule: cron expression in UTC (minute hour day-of-month month day-of-week, Sunday is 0 or 7); weekly, on
            Monday at 06:00.
        window_seconds: span of live data that a report covers.
        catch_up: at most this many scheduled reports that were missed are made later, oldest first.
        sample_rows: at most this many rows a side go to Evidently.
        evidently_columns: at most this many columns go to Evidently, those that drifted most first; the rest is named.
        timeout_seconds: for one run of Evidently.
        runbooks_url: address of the runbooks, for links; empty: no link.
    """

    schedule: str = "0 6 * * mon"
    window_seconds: float = 7 * 86_400.0
    catch_up: int = 8
    sample_rows: int = 50_000
    evidently_columns: int = 50
    timeout_seconds: float = 600.0
    runbooks_url: str = "http://localhost:3000/d/driftline-runbooks"
