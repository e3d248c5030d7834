"""Captured rows become what MLflow's server would have handed to the model."""

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import Schema
from store_traffic import signature

from driftline.monitor.replay.served_input import CapturedRows, alike, served_input
from driftline.store.payload.mlflow_rows import MlflowRows
from driftline.store.prediction_columns import prediction_columns

ALL = [
    {"name": name, "type": name, "required": True}
    for name in ("double", "float", "long", "integer", "boolean", "string", "datetime", "binary")
]
ROWS = [
    [0.1, 0.1, 2**60, 7, True, "né", "2026-01-31T12:00:00.123000", base64.b64encode(b"\x00a").decode()],
    [None, None, -1, -7, False, None, "1969-12-31T23:59:59.000000", base64.b64encode(b"").decode()],
]


def stored(inputs: list[dict[str, Any]], body: dict[str, Any]) -> CapturedRows:
    """The rows of a request as the store holds them."""
    said = signature(inputs) if inputs else {}
    columns = [c for c in prediction_columns(said) if c.side == "input"]
    cells, rows, _ = MlflowRows(said, columns).columns(b"application/json", json.dumps(body).encode())
    return CapturedRows(columns, cells, rows)


def received(inputs: list[dict[str, Any]], body: dict[str, Any]) -> Any:
    """What `predict` gets of the request when MLflow serves it."""
    schema = Schema.from_json(signature(inputs)["inputs"])
    return _enforce_schema(infer_and_parse_data(body, schema), schema)


def enforced(captured: CapturedRows, inputs: list[dict[str, Any]]) -> Any:
    said = signature(inputs)
    return _enforce_schema(served_input(captured, said), Schema.from_json(said["inputs"]))


def test_every_scalar_type_comes_back_as_the_server_had_it_dtypes_included() -> None:
    body = {"dataframe_split": {"columns": [spec["name"] for spec in ALL], "data": ROWS}}
    pd.testing.assert_frame_equal(enforced(stored(ALL, body), ALL), received(ALL, body))


def test_columns_come_in_the_asked_versions_order_and_types() -> None:
    body = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2.5, "x"], [2, 3.5, "y"]]}}
    captured = stored([{"name": n, "type": t} for n, t in (("a", "long"), ("b", "double"), ("c", "string"))], body)
    frame = served_input(captured, signature([{"name": "b", "type": "float"}, {"name": "a", "type": "double"}]))
    assert dict(frame.dtypes.astype(str)) == {"b": "float32", "a": "float64"}
    assert list(frame.columns) == ["b", "a"]


def test_rows_whose_requests_lacked_an_optional_column_are_asked_without_it() -> None:
    inputs = [{"name": "a", "type": "double"}, {"name": "n", "type": "long", "required": False}]
    columns = [c for c in prediction_columns(signature(inputs)) if c.side == "input"]
    cells = {"in_a": np.array([1.0, 2.0, 3.0]), "in_n": np.array([5, None, 7], dtype=object)}
    captured = CapturedRows(columns, cells, 3)
    groups = [captured.take(places) for places in alike(captured)]
    frames = sorted((served_input(g, signature(inputs)) for g in groups), key=len)
    assert list(frames[0].columns) == ["a"]
    assert frames[1]["n"].dtype == np.int64
    assert frames[1]["n"].tolist() == [5, 7]


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_a_tensor_is_a_tensor_of_its_type_again(dtype: str) -> None:
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, 2, 2]}}]
    body = {"inputs": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}
    given = enforced(stored(inputs, body), inputs)
    np.testing.assert_array_equal(given, received(inputs, body), strict=True)
    assert given.dtype == dtype


def test_named_tensors_come_by_name() -> None:
    inputs = [
        {"name": n, "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}} for n in ("left", "right")
    ]
    body = {"inputs": {"left": [[1.5, 2], [3, 4]], "right": [[5, 6], [7, 8]]}}
    given, wanted = enforced(stored(inputs, body), inputs), received(inputs, body)
    assert list(given) == list(wanted)
    for name in wanted:
        np.testing.assert_array_equal(given[name], wanted[name], strict=True)


def test_without_a_signature_records_are_a_frame_and_lists_an_array() -> None:
    captured = stored([], {"dataframe_split": {"columns": ["b", "a"], "data": [[1, "x"], [2, "y"]]}})
    assert served_input(captured, None).to_dict("list") == {"b": [1, 2], "a": ["x", "y"]}
    plain = stored([], {"instances": [[1.0, 2.0], [3.0, 4.0]]})
    np.testing.assert_array_equal(served_input(plain, None), [[1.0, 2.0], [3.0, 4.0]])


def test_arrays_and_objects_are_what_they_were() -> None:
    inputs = [
        {"name": "tags", "type": "array", "items": {"type": "string"}, "required": True},
        {"name": "who", "type": "object", "properties": {"id": {"type": "long", "required": True}}, "required": True},
    ]
    body = {"dataframe_split": {"columns": ["tags", "who"], "data": [[["a", "b"], {"id": 1}], [["c"], {"id": 2}]]}}
    given, wanted = enforced(stored(inputs, body), inputs), received(inputs, body)
    assert given["who"].tolist() == wanted["who"].tolist()
    assert [list(tags) for tags in given["tags"]] == [list(tags) for tags in wanted["tags"]]
