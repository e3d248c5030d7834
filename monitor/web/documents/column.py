"""The document of ``/models/<name>/columns/<column>``: its picture, what moved, and its scores over time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from driftline.monitor.web.documents import parts
from driftline.monitor.web.documents.chosen import Chosen, NotWatched, choose
from driftline.monitor.web.documents.columns import SORTS, in_order, path_of, pictures_of
from driftline.monitor.web.links import column_path, mlflow_links, model_path
from driftline.monitor.web.query import PageQuery
from driftline.monitor.web.reads import model_history
from driftline.monitor.web.reads.score_history import column_history, ratio
from driftline.monitor.web.sources import Sources
from driftline.store.profile_levels import DAY_US
from driftline.store.records import iso


def column_document(sources: Sources, model: str, column: str, query: PageQuery) -> dict[str, Any]:
    """Return one column of a model's version and arm.

    Raises:
        NotWatched: there is no such model, version or arm under watch, or its newest judgement has no such column.
    """
    context = sources.context
    now = context.clock()
    since = now - query.days * DAY_US
    with context.engine.connect() as connection:
        chosen = choose(connection, sources, model, query)
        row = _row(chosen, column, query.side)
        version, place = chosen.status.version, (row.side, row.column_name)
        pictures = pictures_of(sources, connection, [row])
        history = column_history(connection, version.id, chosen.arm, place, (since, now))
        opened = model_history.episodes(connection, version.id, chosen.arm, since, place)
    return {
        **parts.head(sources),
        "model": model,
        "model_path": model_path(model, **chosen.query()),
        "path": column_path(model, column, side=query.side, **chosen.query()),
        "version": version.identity.version,
        "arm": chosen.arm.name.lower(),
        **parts.column_entry(row),
        "picture": pictures.get(place),
        "days": query.days,
        "history": [_judgement(each) for each in history],
        "episodes": [parts.episode_entry(each) for each in opened],
        "neighbours": _neighbours(chosen, row),
        "links": mlflow_links(context, version.identity),
    }


def _row(chosen: Chosen, column: str, side: str | None) -> Row[Any]:
    found = [r for r in chosen.rows if r.column_name == column and side in (None, r.side)]
    if not found:
        raise NotWatched("the newest judgement of this version has no such column: its model's page lists them")
    return found[0]


def _judgement(row: Row[Any]) -> dict[str, Any]:
    return {
        "at": iso(row.computed_at),
        "verdict": row.verdict,
        "statistic": row.statistic,
        "score": parts.finite(row.score),
        "threshold": parts.finite(row.threshold),
        "ratio": parts.finite(ratio(row)),
        "window": parts.window_entry(row),
        "missing_share": parts.finite(row.missing_share),
        "unseen_share": parts.finite(row.unseen_share),
        "out_of_range_share": parts.finite(row.out_of_range_share),
    }


def _neighbours(chosen: Chosen, row: Row[Any]) -> dict[str, Any]:
    """Return the columns before and after this one in the usual order of the model's page."""
    entries: Sequence[dict[str, Any]] = in_order([parts.column_entry(r) for r in chosen.rows], SORTS[0])
    at = next(i for i, e in enumerate(entries) if (e["side"], e["column"]) == (row.side, row.column_name))

    def told(index: int) -> dict[str, Any] | None:
        if not 0 <= index < len(entries):
            return None
        entry = entries[index]
        return {"column": entry["column"], "verdict": entry["verdict"], "path": path_of(chosen, entry)}

    return {"before": told(at - 1), "after": told(at + 1)}
