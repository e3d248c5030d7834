"""Requests that the fast path has parsed are recorded as typed rows, and stored as their bodies would be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scoring_servers import DriftlineServer
from sqlalchemy import Connection, text

from driftline.store.engine import open_engine
from driftline.store.loader.loader import Loader, LoaderSettings
from driftline.store.spool.adoption import adopt_orphans, spools
from driftline.store.spool.reader import SpoolReader
from driftline.store.spool.record import Kind

pytestmark = pytest.mark.thorough

Start = Callable[..., DriftlineServer]
BODIES = [
    {"dataframe_records": [{"a": 1.5, "b": -0.0}, {"a": 1e308, "b": 3}]},
    {"dataframe_split": {"columns": ["b", "a"], "data": [[0.1, 0.2]]}},
    {"inputs": {"a": [1.0, 2.0], "b": [3.0, 4.0]}},
    {"instances": [{"a": 7.0, "b": 8.0}]},
    {"dataframe_records": [{"a": "1.5", "b": 2.0}]},
    {"dataframe_records": [{"a": 1.5}]},
]


def _stored(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(text(f"SELECT * FROM {table}")).mappings()
    own = {"invocation_id", "received_at", "model_version_id"}
    return sorted(repr({key: value for key, value in row.items() if key not in own}) for row in rows)


@pytest.mark.parametrize("batches", [(), ("--max-batch-rows", "8")], ids=["alone", "in batches"])
def test_typed_rows_are_stored_as_their_bodies_would_be(start: Start, tmp_path: Path, batches: tuple[str, ...]) -> None:
    rows = {}
    for policy in ("none", "all"):
        store = f"sqlite:///{tmp_path / policy}.sqlite"
        name = f"{policy}-{len(batches)}"
        server = start("models:/linear/1", name, "--store", store, *batches, DRIFTLINE_LOADER_RAW_BODIES=policy)
        for body in BODIES:
            server.score(json.dumps(body).encode())
        assert server.stop() == 0
        engine = open_engine(store)
        Loader(engine, server.spool_folder, LoaderSettings(raw_bodies=policy)).load_once()  # what was left
        with engine.connect() as connection:
            invocations = connection.execute(text("SELECT status, row_count, error_code FROM invocation ORDER BY id"))
            table = connection.execute(text("SELECT table_name FROM prediction_table")).scalar_one()
            rows[policy] = ([tuple(row) for row in invocations], _stored(connection, table))
        engine.dispose()
    assert rows["none"] == rows["all"]
    assert [len(part) for part in rows["none"]] == [6, 7]


def test_only_what_the_fast_path_answered_is_typed(start: Start) -> None:
    server = start("models:/linear/1", "typed-kinds", DRIFTLINE_LOADER_RAW_BODIES="errors")
    bodies = [json.dumps(body).encode() for body in BODIES]
    for body in bodies:
        server.score(body)
    assert server.stop() == 0
    adopt_orphans(server.spool_folder)
    records = [r for path in spools(server.spool_folder) for r in SpoolReader(path).read().records]
    assert [record.kind for record in records] == [*[Kind.TYPED] * 4, *[Kind.INVOCATION] * 2]
    assert [body in record.payload for body, record in zip(bodies, records, strict=True)] == [*[False] * 4, True, True]
