from typing import Any

from report_rig import MONDAY, WEEK_US, content
from sqlalchemy import Connection, insert

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.performance_document import performance_document
from driftline.monitor.report.mlflow_metrics import report_metrics
from driftline.monitor.report.summary_page import render
from driftline.monitor.rows.performance_rows import nearest_performance
from driftline.store import schema
from driftline.store.engine import writing
from driftline.store.prediction_tables import ensure_model_version
from driftline.store.profile_levels import DAY_US, HOUR_US
from driftline.store.records import Arm, ModelIdentity

WEEK = (MONDAY - WEEK_US, MONDAY)


def found(connection: Connection, version_id: int, value: float | None, days: int = 7, **more: Any) -> None:
    """Write one result, of so many days before ``MONDAY``."""
    row = {
        "model_version_id": version_id, "arm": Arm.CHAMPION, "metric": "mae", "estimated": False,
        "window_start": MONDAY - days * DAY_US, "window_end": MONDAY, "labelled_rows": 400, "window_rows": 1_000,
        "value": value, "low": None if value is None else value - 0.1, "high": None if value is None else value + 0.1,
        "threshold": 0.5, "breached": value is not None and value > 0.5, "reason": "", "computed_at": MONDAY, **more,
    }  # fmt: skip
    connection.execute(insert(schema.performance_result).values(row))


def test_of_a_metric_the_nearest_window_speaks_and_of_like_ones_the_newest(sqlite_context: JobContext) -> None:
    identity = ModelIdentity(name="tiny", version="1", uri="models:/tiny/1")
    with writing(sqlite_context.engine) as connection:
        version_id = ensure_model_version(connection, identity).id
        found(connection, version_id, 0.9, computed_at=MONDAY - HOUR_US)
        found(connection, version_id, 0.6)  # labels came meanwhile
        found(connection, version_id, 0.1, days=1)
        found(connection, version_id, 0.2, days=30)
        found(connection, version_id, 0.3, window_start=MONDAY, window_end=MONDAY + WEEK_US)
        found(connection, version_id, 0.4, arm=Arm.SHADOW)
        found(connection, version_id, None, metric="r2", threshold=None, breached=None)
        found(connection, version_id, 0.8, metric="accuracy", estimated=True, labelled_rows=0)
        results = performance_document(nearest_performance(connection, version_id, Arm.CHAMPION, WEEK))
        none = nearest_performance(connection, version_id, Arm.CHAMPION, (0, WEEK_US))
    assert [(r["metric"], r["estimated"], r["value"]) for r in results] == [
        ("mae", False, 0.6), ("r2", False, None), ("accuracy", True, 0.8),
    ]  # fmt: skip
    assert none == []
    made = content()
    made["arms"][0]["performance"] = results
    metrics = report_metrics(made)
    assert (metrics["performance/mae"], metrics["performance_estimated/accuracy"]) == (0.6, 0.8)
    assert "performance/r2" not in metrics
    page = render(made)
    assert page.index("realised") < page.index("estimated without labels")
    assert "breach" in page[page.index('id="performance"') :]
