"""What the newest run of a job left of one version and arm: jobs write all rows of a run together."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select


def newest_run(
    connection: Connection, table: Table, mine: ColumnElement[bool], shown: ColumnElement[bool] | None = None
) -> Sequence[Row[Any]]:
    """Return the rows of ``mine`` that the newest run among them wrote, in its order; empty without any.

    Args:
        table: of results, with ``job_run_id``, ``computed_at`` and ``id``.
        mine: which rows are asked about.
        shown: which of that run's rows to return; all when absent.
    """
    run = select(table.c.job_run_id).where(mine).order_by(table.c.computed_at.desc(), table.c.id.desc()).limit(1)
    newest = select(table).where(mine & (table.c.job_run_id == connection.scalar(run))).order_by(table.c.id)
    return connection.execute(newest if shown is None else newest.where(shown)).all()
