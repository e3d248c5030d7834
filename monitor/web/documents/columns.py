"""What the pages of models and of columns have in common: the columns' order, paths and pictures."""

import logging
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row

from driftline.monitor.drift.verdict import Verdict
from driftline.monitor.web.documents.chosen import Chosen
from driftline.monitor.web.links import column_path
from driftline.monitor.web.sources import Sources
from driftline.store.errors import DriftlineError

log = logging.getLogger(__name__)
SORTS = ("severity", "name", "signature", "missing")
Entry = dict[str, Any]


def in_order(entries: list[Entry], sort: str) -> list[Entry]:
    """Return columns in one of ``SORTS``.

    ``severity`` has the drifted first, by their score in units of the threshold, times their importance where that is
    known: an output then counts as much as the most important input.
    """
    if sort == "name":
        return sorted(entries, key=lambda c: str(c["column"]).casefold())
    if sort == "missing":
        return sorted(entries, key=lambda c: -((c["missing_share"] or 0) - (c["reference_missing_share"] or 0)))
    if sort == "severity":
        most = max((c["importance"] or 0.0 for c in entries), default=0.0)
        return sorted(entries, key=lambda c: (Verdict(c["verdict"]).place, -_weight(c, most)))
    return entries


def _weight(entry: Entry, most_importance: float) -> float:
    ratio = float(entry["ratio"] or 0.0)
    if not most_importance or entry["verdict"] != "drift":
        return ratio
    return ratio * (most_importance if entry["side"] == "output" else entry["importance"] or 0.0)


def path_of(chosen: Chosen, entry: Entry) -> str:
    """Return the path of a column's page."""
    side = "output" if entry["side"] == "output" else None
    return column_path(chosen.status.version.identity.name, entry["column"], side=side, **chosen.query())


def pictures_of(sources: Sources, connection: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[str, str], Entry]:
    """Return the pictures by side and column: those kept with the verdicts, the others drawn now.

    Where what they are drawn from is damaged there are none, and the verdicts stand.
    """
    pictures = {(r.side, r.column_name): orjson.loads(r.picture) for r in rows if r.picture}
    try:
        drawn = sources.pictures.of(connection, [r for r in rows if not r.picture])
    except DriftlineError as error:
        log.warning("no pictures: %s", error)
        return pictures
    return pictures | {place: picture.to_json() for place, picture in drawn.items()}
