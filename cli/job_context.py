"""What the commands of the monitor work with: settings read, store opened and checked."""

import os
from typing import Any

from driftline.cli.open_store import open_for_command
from driftline.monitor.drift.settings import DriftSettings
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.multivariate.settings import MultivariateSettings
from driftline.monitor.performance.settings import PerformanceSettings
from driftline.monitor.quality.settings import QualitySettings
from driftline.monitor.settings import MonitorSettings, ReportSettings
from driftline.store.engine import require_file
from driftline.store.home import make_home
from driftline.store.imports.settings import ImportSettings
from driftline.store.labels.settings import LabelSettings
from driftline.store.migrate import prepare
from driftline.store.redaction import load_redaction
from driftline.store.retention.settings import RetentionSettings
from driftline.store.segments.settings import SegmentSettings
from driftline.store.settings import BaseSettings, load_base, load_section

# MLflow's client would retry for minutes, where whoever asks here is told and jobs come again; and it prints.
_MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def open_context(
    base: BaseSettings | None = None, monitor_flags: dict[str, Any] | None = None, *, create: bool = True
) -> JobContext:
    """Read the settings and open the store; SQLite is created and upgraded, PostgreSQL checked.

    Args:
        base: home and store; None reads them too.
        monitor_flags: what the user typed of the section ``monitor``.
        create: False for commands that only read: a SQLite store that is not there is then an error.

    Raises:
        ConfigurationError: a setting is wrong, or the home cannot be made.
        StoreUnreachable, SchemaMismatch: see the store.
    """
    for variable, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(variable, value)
    base = base or load_base()
    monitor = load_section(MonitorSettings, "monitor", monitor_flags)
    report = load_section(ReportSettings, "report")
    drift = load_section(DriftSettings, "drift")
    retention = load_section(RetentionSettings, "retention")
    labels = load_section(LabelSettings, "labels")
    imports = load_section(ImportSettings, "imports")
    quality = load_section(QualitySettings, "quality")
    multivariate = load_section(MultivariateSettings, "multivariate")
    performance = load_section(PerformanceSettings, "performance")
    segments = load_section(SegmentSettings, "segments")
    redaction = load_redaction()
    if not create:
        require_file(base.store_url)
    make_home(base.home)
    engine = open_for_command(base.store_url)
    prepare(engine)
    return JobContext(
        engine=engine,
        home=base.home.absolute(),
        monitor=monitor,
        report=report,
        drift=drift,
        retention=retention,
        labels=labels,
        imports=imports,
        quality=quality,
        multivariate=multivariate,
        performance=performance,
        segments=segments,
        redaction=redaction,
    )
