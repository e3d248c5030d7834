"""Cells that MLflow converts without a word are counted; what loses nothing is not."""

from typing import Any

import orjson
import pytest

from driftline.store.payload.body_parser import BodyParser
from driftline.store.payload.coercions import coercion, count_coercions
from driftline.store.prediction_columns import ColumnType, PredictionColumn, prediction_columns

AGE = PredictionColumn("input", "age", "in_age", ColumnType.DOUBLE)
SIGNATURE = {
    "inputs": orjson.dumps([
        {"name": "age", "type": "double", "required": True}, {"name": "visits", "type": "long", "required": True},
        {"name": "member", "type": "boolean", "required": True}, {"name": "city", "type": "string", "required": True},
    ]).decode(),
    "outputs": orjson.dumps([{"type": "double", "required": True}]).decode(),
}  # fmt: skip


@pytest.mark.parametrize(("type_", "cell", "said"), [
    (ColumnType.DOUBLE, "1.5", "texts for a number"), (ColumnType.FLOAT, True, "booleans for a number"),
    (ColumnType.DOUBLE, 3, None), (ColumnType.DOUBLE, None, None), (ColumnType.DOUBLE, float("nan"), None),
    (ColumnType.DOUBLE, float("inf"), None), (ColumnType.LONG, 1.0, None), (ColumnType.LONG, 7, None),
    (ColumnType.LONG, 1.9, "fractions for a whole number"), (ColumnType.LONG, "7", "texts for a whole number"),
    (ColumnType.INTEGER, 2**40, "numbers that do not fit a whole number"), (ColumnType.LONG, 2**40, None),
    (ColumnType.LONG, 1e300, "numbers that do not fit a whole number"),
    (ColumnType.LONG, True, "booleans for a whole number"), (ColumnType.BOOLEAN, None, "nulls for a boolean"),
    (ColumnType.BOOLEAN, "false", "texts for a boolean"), (ColumnType.BOOLEAN, 2.5, "numbers for a boolean"),
    (ColumnType.BOOLEAN, False, None), (ColumnType.STRING, 7, "numbers for text"), (ColumnType.STRING, None, None),
    (ColumnType.STRING, [1], "lists or objects for text"), (ColumnType.DATETIME, 10**18, "numbers for a time"),
    (ColumnType.DATETIME, "2024-01-01", None), (ColumnType.BINARY, "YWI=", None),
])  # fmt: skip
def test_a_cell_is_a_coercion_where_mlflow_does_not_leave_it_as_it_is(
    type_: ColumnType, cell: Any, said: str | None
) -> None:
    assert coercion(type_, cell) == said


@pytest.mark.parametrize("document", [
    {"dataframe_split": {"columns": ["x", "age"], "data": [[0, "1"], [0, 2.0], [0, "3"]]}},
    {"dataframe_records": [{"age": "1"}, {"age": 2.0}, {"x": 1}, {"age": "3"}]},
    {"instances": [{"age": "1"}, {"age": "3"}]},
    {"inputs": {"age": ["1", 2.0, "3"]}},
    {"inputs": [{"age": "1"}, {"age": "3"}]},
])  # fmt: skip
def test_every_form_of_a_request_is_read(document: Any) -> None:
    assert count_coercions([AGE], document) == {("in_age", "texts for a number"): 2}


@pytest.mark.parametrize("document", [
    None, 7, [], {}, {"dataframe_split": [1]}, {"dataframe_split": {"columns": "age", "data": [["1"]]}},
    {"dataframe_split": {"columns": ["age"], "data": [[], 3, None]}}, {"instances": "age"}, {"inputs": [["1"]]},
])  # fmt: skip
def test_other_documents_hold_none(document: Any) -> None:
    assert count_coercions([AGE], document) == {}


def test_what_mlflow_converted_is_counted_with_its_rows_and_exact_types_are_not() -> None:
    columns = ["age", "visits", "member", "city"]

    def body(*rows: list[Any]) -> bytes:
        return orjson.dumps({"dataframe_split": {"columns": columns, "data": rows}})

    requests = [body([1.5, 2, True, "Rome"]), body(["1.5", 2.7, None, "Rome"], [1.0, 2, False, "Oslo"])]
    answers = [orjson.dumps({"predictions": [0.5] * n}) for n in (1, 2)]
    parser = BodyParser(SIGNATURE, prediction_columns(SIGNATURE))
    parsed = parser.parse([200, 200], [b"application/json"] * 2, requests, answers)
    assert parsed.errors == {}
    assert parsed.columns["in_visits"].tolist() == [2, 2, 2]
    assert parsed.coerced == {
        1: {
            ("in_age", "texts for a number"): 1,
            ("in_visits", "fractions for a whole number"): 1,
            ("in_member", "nulls for a boolean"): 1,
        }
    }
