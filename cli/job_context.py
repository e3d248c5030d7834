"""What the commands of the monitor work with: settings read, store opened and checked."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import JobContext
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError, StoreUnreachable
from driftline.store.migrate import prepare
from driftline.store.retention.settings import RetentionSettings
from driftline.store.settings import load_base, load_section

# MLflow's client would retry for minutes, where whoever asks here is told and jobs come again; and it prints.
_MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def open_context(monitor_flags: dict[str, Any] | None = None, *, create: bool = True) -> JobContext:
    """Read the settings and open the store; SQLite is created and upgraded, PostgreSQL checked.

    Args:
        monitor_flags: what the user typed of the section ``monitor``.
        create: False for commands that only read: a SQLite store that is not there is then an error.

    Raises:
        ConfigurationError: a setting is wrong, or the home cannot be made.
        StoreUnreachable, SchemaMismatch: see the store.
    """
    for variable, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(variable, value)
    base = load_base()
    monitor = load_section(MonitorSettings, "monitor", monitor_flags)
    report = load_section(ReportSettings, "report")
    drift = load_section(DriftSettings, "drift")
    retention = load_section(RetentionSettings, "retention")
    if not create:
        _require_file(base.store_url)
    try:
        base.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the home {base.home} cannot be made ({error.strerror}): correct DRIFTLINE_HOME or its folder's owner"
        ) from error
    engine = open_engine(base.store_url)
    prepare(engine)
    return JobContext(
        engine=engine, home=base.home.absolute(), monitor=monitor, report=report, drift=drift, retention=retention
    )


def _require_file(store_url: str) -> None:
    url = make_url(store_url)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        raise StoreUnreachable(
            f"there is no store at {url.database}: run this where `driftline serve` runs, or name its home "
            "(DRIFTLINE_HOME) or its store (DRIFTLINE_STORE)"
        )
