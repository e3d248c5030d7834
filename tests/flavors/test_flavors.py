"""A model of every framework: MLflow's bytes, the right rows in the store, profiles that agree with them."""

import json
import sqlite3
import uuid
from typing import Any

import pytest
from flavor_rig import Served, predictions

from driftline.store.prediction_columns import PredictionColumn, prediction_columns

pytestmark = [pytest.mark.flavors, pytest.mark.timeout(900)]


def test_the_answers_are_mlflows_byte_for_byte(served: Served) -> None:
    for case, theirs, ours in served.answers:
        assert (ours.status, ours.headers["content-type"], ours.body) == (
            theirs.status,
            theirs.headers["content-type"],
            theirs.body,
        ), case.name
        assert (ours.status < 300) == (case.rows is not None), case.name


def test_every_request_is_stored_once_with_its_status(served: Served) -> None:
    with sqlite3.connect(served.store) as store:
        stored = dict(store.execute("select hex(id), status from invocation"))
    assert stored == {_id(ours).upper(): ours.status for _, _, ours in served.answers}


def test_the_prediction_table_holds_what_was_asked_and_answered(served: Served) -> None:
    with sqlite3.connect(served.store) as store:
        store.row_factory = sqlite3.Row
        columns = _columns(store)
        (table,) = (name for (name,) in store.execute("select prediction_table from model_version"))
        for case, _, ours in served.answers:
            rows = f"select * from {table} where hex(invocation_id) = ? order by row_index"
            found = store.execute(rows, [_id(ours).upper()]).fetchall()
            if case.rows is None:
                assert not found, case.name
                continue
            inputs = [_cells(row, [column for column in columns if column.side == "input"]) for row in found]
            outputs = [_cells(row, [column for column in columns if column.side == "output"]) for row in found]
            tabular = not isinstance(inputs[0][0], list)
            assert inputs == [pytest.approx(row) if tabular else [row] for row in case.rows], case.name
            assert outputs == [pytest.approx(row, rel=1e-6) for row in predictions(ours)], case.name


def test_what_was_stored_is_profiled_on_the_references_bins(served: Served) -> None:
    expected = sum(len(case.rows) for case, _, _ in served.answers if case.rows is not None)
    with sqlite3.connect(served.store) as store:
        (profiled,) = store.execute("select sum(row_count) from profile").fetchone()
    assert profiled == expected


def test_the_profiles_agree_exactly_with_the_rows(served: Served) -> None:
    verified = served.driftline("store", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def _id(answer: Any) -> str:
    return uuid.UUID(answer.headers["x-driftline-invocation-id"]).hex


def _columns(store: sqlite3.Connection) -> tuple[PredictionColumn, ...]:
    (signature,) = store.execute("select signature from model_version").fetchone()
    return prediction_columns(json.loads(signature))


def _cells(row: sqlite3.Row, columns: list[PredictionColumn]) -> list[Any]:
    cells = [row[column.column_name] for column in columns]
    return [json.loads(cell) if isinstance(cell, str) else cell for cell in cells]
