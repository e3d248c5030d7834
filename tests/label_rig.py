"""Requests that labels may be about, in a store, and what became of labels."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import store_traffic as traffic
from sqlalchemy import Engine, select

from driftline.store import schema
from driftline.store.labels.loading import LabelReport, load_labels
from driftline.store.labels.record import Fields
from driftline.store.labels.settings import LabelSettings
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.records import Arm, Invocation, ModelIdentity, invocation_id_text

BUYS = ModelIdentity(
    name="buys", version="1", uri="models:/buys/1",
    signature=traffic.signature([
        {"name": "customer_id", "type": "long", "required": True},
        {"name": "order", "type": "string", "required": True},
    ]),
)  # fmt: skip


def request(
    *rows: tuple[int, str], client_id: str = "", at_us: int = traffic.START_US, arm: Arm = Arm.CHAMPION,
    id_: bytes | None = None,
) -> Invocation:  # fmt: skip
    """Return a request of ``BUYS`` with a row for each customer and order."""
    body = {"dataframe_split": {"columns": ["customer_id", "order"], "data": [list(row) for row in rows]}}
    made = traffic.invocation(body, {"predictions": [1] * len(rows)}, at_us=at_us, arm=arm)
    return made._replace(client_request_id=client_id.encode(), id=id_ or made.id)


def load_requests(engine: Engine, home: Path, *requests: Invocation, identity: ModelIdentity = BUYS) -> None:
    traffic.fill(home / "spool", list(requests), identity)
    Loader(engine, home / "spool", LoaderSettings()).load_once()


def versions(version: str) -> ModelIdentity:
    return replace(BUYS, version=version, uri=f"models:/buys/{version}")


def load(
    engine: Engine, records: Iterable[Any], settings: LabelSettings | None = None, key: str = "", model: str = ""
) -> dict[str, int]:
    """Load labels; return the fates that any met."""
    return fates(load_labels(engine, settings or LabelSettings(), records, Fields(key=key), model))


def fates(report: LabelReport) -> dict[str, int]:
    return {fate.value: count for fate, count in report.fates.items() if count}


def about(request: Invocation, label: Any, **more: Any) -> dict[str, Any]:
    """Return a label's record by the request's invocation id."""
    return {"request_id": invocation_id_text(request.id), "label": label, **more}


def labels(engine: Engine) -> dict[tuple[bytes, int], str]:
    """The labels in force, as JSON, by request and row."""
    t = schema.label.c
    with engine.connect() as connection:
        found = connection.execute(select(t.invocation_id, t.row_index, t.value))
        return {(id_, row): value for id_, row, value in found}


def rejects(engine: Engine) -> list[tuple[str, str]]:
    """Reason and content of the rejects, in the order in which they were kept."""
    t = schema.label_reject.c
    with engine.connect() as connection:
        return [(reason, content) for reason, content in connection.execute(select(t.reason, t.content).order_by(t.id))]


def counts(engine: Engine) -> dict[tuple[str, str], int]:
    """The counts that only grow, by model and fate."""
    t = schema.label_count.c
    with engine.connect() as connection:
        return {(name, fate): count for name, fate, count in connection.execute(select(t.model_name, t.fate, t.labels))}
