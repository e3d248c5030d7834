"""Results of the multivariate check in the store."""

import orjson
from sqlalchemy import Connection, insert, select

from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.store import schema
from driftline.store.records import Arm


def save_check(
    connection: Connection,
    found: MultivariateDrift,
    *,
    job_run_id: int,
    model_version_id: int,
    reference_id: int,
    arm: Arm,
) -> None:
    """Write what one check found in one arm."""
    connection.execute(insert(schema.multivariate_result).values(
        model_version_id=model_version_id, job_run_id=job_run_id, reference_id=reference_id, arm=arm,
        window_start=found.window[0], window_end=found.window[1], window_rows=found.window_rows,
        reference_rows=found.training_rows, auc=found.auc, z=found.z, verdict=found.verdict, reason=found.reason,
        columns=orjson.dumps(found.columns).decode(), computed_at=found.window[1],
    ))  # fmt: skip


def newest_check(
    connection: Connection, model_version_id: int, arm: Arm, within_us: tuple[int, int] | None = None
) -> MultivariateDrift | None:
    """Return the newest check of one version and arm; None while there is none.

    Args:
        within_us: start (exclusive) and end of the time in which it must have been made; None: any.
    """
    t = schema.multivariate_result
    mine = (t.c.model_version_id == model_version_id) & (t.c.arm == arm)
    if within_us is not None:
        mine &= (t.c.computed_at > within_us[0]) & (t.c.computed_at <= within_us[1])
    newest = select(t).where(mine).order_by(t.c.computed_at.desc(), t.c.id.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    if row is None:
        return None
    return MultivariateDrift(
        window=(row.window_start, row.window_end),
        window_rows=row.window_rows,
        training_rows=row.reference_rows,
        auc=row.auc,
        z=row.z,
        columns=orjson.loads(row.columns),
        verdict=Verdict(row.verdict),
        reason=row.reason,
    )
