"""Cells that were sent with another type than the signature says and that MLflow turned into it without a word."""

from sqlalchemy import Connection, func, select

from driftline.monitor.drift.phrases import percent
from driftline.monitor.quality.finding import Kind, QualityFinding, share_finding, unjudged
from driftline.monitor.quality.settings import QualitySettings
from driftline.store import schema
from driftline.store.prediction_tables import ModelVersion
from driftline.store.records import Arm


def coerced_findings(
    connection: Connection,
    version: ModelVersion,
    arm: Arm,
    window: tuple[int, int],
    rows: int,
    settings: QualitySettings,
) -> list[QualityFinding]:
    """Judge each column that had such cells; the loader counts them (``payload.coercions``).

    Args:
        window: start and end, microseconds since the epoch; the start is that of an hour.
        rows: of the window.
    """
    t = schema.coerced_cells.c
    inside = (t.model_version_id == version.id) & (t.arm == arm) & (t.hour_start >= window[0])
    query = select(t.column_name, t.coercion, func.sum(t.cells)).where(inside & (t.hour_start < window[1]))
    counted = connection.execute(query.group_by(t.column_name, t.coercion)).all()
    names = {c.column_name: c.name for c in version.columns}
    found = []
    for column_name, coercion, cells in counted:
        observed = min(1.0, int(cells) / max(rows, 1))
        said = (
            f"{percent(observed)} of the cells were {coercion}, which MLflow converts without a word; "
            f"a breach from {percent(settings.min_share)}"
        )
        place, shares = ("input", names[column_name]), (observed, 0.0, settings.min_share)
        if rows < settings.min_rows:
            said = f"{said}, a verdict needs {settings.min_rows:,} rows"
            found.append(unjudged(Kind.COERCED, place, window, rows, observed, said))
        else:
            found.append(share_finding(Kind.COERCED, place, window, rows, shares, said))
    return found
