"""What the pages of models and of columns have in common: the columns' order, paths and pictures."""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from driftline.monitor.drift.movement import ColumnPicture
from driftline.monitor.web.documents.chosen import Chosen
from driftline.monitor.web.links import column_path
from driftline.monitor.web.sources import Sources
from driftline.store.errors import DriftlineError

log = logging.getLogger(__name__)
SORTS = ("severity", "name", "signature", "missing")
_VERDICT_ORDER = {"drift": 0, "no drift": 1, "insufficient data": 2}
Entry = dict[str, Any]


def in_order(entries: list[Entry], sort: str) -> list[Entry]:
    """Return columns in one of ``SORTS``; ``severity`` has the drifted first, the furthest over its threshold ahead."""
    if sort == "name":
        return sorted(entries, key=lambda c: str(c["column"]).casefold())
    if sort == "missing":
        return sorted(entries, key=lambda c: -((c["missing_share"] or 0) - (c["reference_missing_share"] or 0)))
    if sort == "severity":
        return sorted(entries, key=lambda c: (_VERDICT_ORDER[c["verdict"]], -(c["ratio"] or 0.0)))
    return entries


def path_of(chosen: Chosen, entry: Entry) -> str:
    """Return the path of a column's page."""
    side = "output" if entry["side"] == "output" else None
    return column_path(chosen.status.version.identity.name, entry["column"], side=side, **chosen.query())


def pictures_of(
    sources: Sources, connection: Connection, rows: Sequence[Row[Any]]
) -> dict[tuple[str, str], ColumnPicture]:
    """Return the pictures by side and column; none where what they are drawn from is damaged: the verdicts stand."""
    try:
        return sources.pictures.of(connection, rows)
    except DriftlineError as error:
        log.warning("no pictures: %s", error)
        return {}
