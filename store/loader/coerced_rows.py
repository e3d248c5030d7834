"""Counts of the cells that MLflow converted without a word, in the transaction that stores their rows."""

from collections import Counter

from sqlalchemy import Connection

from driftline.store import schema
from driftline.store.loader.batch_rows import Prepared
from driftline.store.profile_levels import HOUR, floor
from driftline.store.upserts import add_counts

_KEY = ("model_version_id", "arm", "hour_start", "writer", "column_name", "coercion")


def add_coerced(connection: Connection, model_version_id: int, writer: str, prepared: Prepared) -> None:
    """Add a batch's such cells to their hours; seldom there are any.

    Args:
        writer: uuid of the spool: each adds to rows of its own, so that loaders do not wait for each other.
    """
    batch, counted = prepared.invocations, Counter[tuple[int, int, str, str]]()
    for position, found in prepared.parsed.coerced.items():
        hour = floor(int(batch.received_at[position]), HOUR)
        for (column, coercion), cells in found.items():
            counted[int(batch.arm[position]), hour, column, coercion] += cells
    rows = [
        dict(zip(_KEY, (model_version_id, arm, hour, writer, column, coercion), strict=True)) | {"cells": cells}
        for (arm, hour, column, coercion), cells in sorted(counted.items())
    ]
    add_counts(connection, schema.coerced_cells, rows, key=_KEY, counted=["cells"])
