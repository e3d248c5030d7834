"""What the commands of the monitor work with: settings read, store opened and checked."""

import os
from typing import Any

from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs import JobContext
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.store.engine import open_engine
from driftline.store.errors import ConfigurationError
from driftline.store.migrate import prepare
from driftline.store.settings import load_base, load_section

# MLflow's client would retry for minutes, where whoever asks here is told and jobs come again; and it prints.
_MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def open_context(monitor_flags: dict[str, Any] | None = None) -> JobContext:
    """Read the settings and open the store; SQLite is created and upgraded, PostgreSQL checked.

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
    try:
        base.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the home {base.home} cannot be made ({error.strerror}): correct DRIFTLINE_HOME or its folder's owner"
        ) from error
    engine = open_engine(base.store_url)
    prepare(engine)
    return JobContext(engine=engine, home=base.home.absolute(), monitor=monitor, report=report, drift=drift)
