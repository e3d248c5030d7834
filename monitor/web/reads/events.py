"""The newest events: what was loaded, what an alias points to, what could not be served."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, select

from driftline.store import schema

MOST_EVENTS = 500


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One event of a model; ``version`` is the one loaded, pointed to, or not served."""

    at_us: int
    kind: str
    model: str
    version: str
    arm: str
    detail: dict[str, Any]


def newest_events(connection: Connection) -> list[ModelEvent]:
    """Return the newest events of all models, newest first, at most ``MOST_EVENTS``."""
    t, v = schema.event, schema.model_version
    query = select(t.c.at, t.c.kind, t.c.detail, v.c.name, v.c.version)
    query = query.select_from(t.outerjoin(v, v.c.id == t.c.model_version_id))
    events = []
    for row in connection.execute(query.order_by(t.c.at.desc(), t.c.id.desc()).limit(MOST_EVENTS)):
        detail = orjson.loads(row.detail)
        version = row.version or detail.get("to") or detail.get("version") or ""
        name = row.name or _model_of(detail.get("uri", ""))
        events.append(ModelEvent(row.at, row.kind, name, str(version), detail.get("arm", ""), detail))
    return events


def in_sync(events: Sequence[ModelEvent], model: str) -> tuple[bool, str] | None:
    """Return whether the champion served is what the registry points to, and which version that is; None: not told."""
    mine = [e for e in events if e.model == model and e.arm == "champion"]
    pointed = next((e.version for e in mine if e.kind in ("alias moved", "model loaded")), None)
    served = next((e.version for e in mine if e.kind == "model loaded"), None)
    if pointed is None:
        return None
    if served is None:  # the load came before what is kept of the events
        served = next((str(e.detail.get("from", "")) for e in reversed(mine) if e.kind == "alias moved"), pointed)
    return pointed == served, pointed


def _model_of(uri: str) -> str:
    """Return the model's name in a URI that the registry resolves: ``models:/name@alias``, ``models:/name/latest``."""
    path = uri.removeprefix("models:/")
    return path.rpartition("@")[0] if "@" in path else path.rpartition("/")[0]
