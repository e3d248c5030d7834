"""Bodies of all forms become the columns that the model received."""

import io
import json
import math
from typing import Any

import numpy as np
import pytest
import store_traffic as traffic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline.store.payload.body_parser import BodyParser, ParsedBatch, parse_batch
from driftline.store.payload.invocation_batch import decode
from driftline.store.prediction_columns import prediction_columns
from driftline.store.records import Arm, Invocation, ModelIdentity

TYPES = ["double", "float", "long", "integer", "boolean", "string", "datetime", "binary"]


def identity(types: list[str], outputs: list[dict[str, Any]] | None = None, required: bool = True) -> ModelIdentity:
    inputs = [{"name": f"c{i}", "type": type_, "required": required} for i, type_ in enumerate(types)]
    return ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(inputs, outputs))


def parse(model: ModelIdentity, body: Any, answer: Any, content_type: bytes = b"application/json") -> ParsedBatch:
    return parse_batch(model, [traffic.invocation(body, answer, content_type=content_type)])


def cells(batch: ParsedBatch) -> dict[str, list[Any]]:
    listed = {name: column.tolist() for name, column in batch.columns.items()}
    return {name: [None if cell != cell else cell for cell in column] for name, column in listed.items()}


ordinary = {
    "double": st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.none()),
    "float": st.one_of(st.floats(width=32), st.floats(), st.none(), st.integers(-5, 5)),
    "long": st.integers(-(2**63), 2**64),
    "integer": st.integers(-(2**32), 2**32),
    "boolean": st.booleans(),
    "string": st.one_of(st.text(max_size=5), st.none(), st.sampled_from(["a\x00", "\ud800", "1", "NaN"])),
    "datetime": st.one_of(
        st.sampled_from(["2024-01-01", "2024-02-30", "2024-01-01T10:00:00", "2024-01-01 10:00:00.123456", "01/02/2024",
                         "2024-01-01T10:00:00Z", "2300-01-01"]),
        st.none(),
    ),
    "binary": st.sampled_from(["YWJj", "%%%", "a", "é"]),
}  # fmt: skip
odd = st.sampled_from([None, True, "1.5", "x", 2.5, 1, [1], {"a": 1}, 10**400, float("inf"), "", -0.0])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[str], bytes, int]:
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
    names = [f"c{i}" for i in range(len(types))]
    rows = draw(st.integers(1, 3))
    is_odd = draw(st.sampled_from([False, False, True]))
    table = [[draw(odd if is_odd and draw(st.booleans()) else ordinary[t]) for t in types] for _ in range(rows)]
    order = draw(st.permutations(names + draw(st.sampled_from([[], [], ["extra"]]))))
    records = [{n: dict(zip(names, row, strict=True)).get(n, 9) for n in order} for row in table]
    form = draw(st.sampled_from(["split", "split with index", "records", "instances", "inputs rows", "inputs columns"]))
    split: dict[str, Any] = {"columns": order, "data": [list(record.values()) for record in records]}
    if form == "split with index":
        split["index"] = draw(st.sampled_from([list(range(rows)), [0] * rows, ["a"] * rows, [0]]))
    document: dict[str, Any] = {
        "split": {"dataframe_split": split}, "split with index": {"dataframe_split": split},
        "records": {"dataframe_records": records}, "instances": {"instances": records},
        "inputs rows": {"inputs": records}, "inputs columns": {"inputs": {n: [r[n] for r in records] for n in order}},
    }[form]  # fmt: skip
    document |= draw(st.sampled_from([{}, {}, {"params": None}, {"other": 1}]))
    return types, json.dumps(document).encode(), rows


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(bodies())
def test_the_fast_way_gives_what_mlflow_gives(drawn: tuple[list[str], bytes, int]) -> None:
    types, body, rows = drawn
    model = identity(types)
    slow = BodyParser(model.signature, prediction_columns(model.signature))
    slow._fast = None
    answer = json.dumps({"predictions": [0] * rows}).encode()
    fast_batch = parse(model, body, answer)
    slow_batch = slow.parse([200], [b"application/json"], [body], [answer])
    assert fast_batch.errors.keys() == slow_batch.errors.keys()
    for name, column in slow_batch.columns.items():
        same(fast_batch.columns[name], column)


def same(left: np.ndarray, right: np.ndarray) -> None:
    assert left.dtype == right.dtype
    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        assert type(a) is type(b)
        assert a == b or (math.isnan(a) and math.isnan(b))


def test_ordinary_bodies_go_the_fast_way_and_one_odd_cell_costs_its_own_invocation() -> None:
    model = identity(["double", "string"])
    parser = BodyParser(model.signature, prediction_columns(model.signature))
    unusual: list[bytes] = []
    original = parser._mlflow.columns
    parser._mlflow.columns = lambda kind, body: unusual.append(body) or original(kind, body)  # type: ignore[method-assign]
    values: list[Any] = [1.5, 2, None, "2.5", 3]
    bodies = [json.dumps({"dataframe_split": {"columns": ["c1", "c0"], "data": [["a", v]]}}).encode() for v in values]
    batch = parser.parse([200] * 5, [b"application/json; charset=utf-8"] * 5, bodies, [b'{"predictions": [1]}'] * 5)
    assert unusual == [bodies[3]]
    assert dict(zip(batch.owners.tolist(), batch.columns["in_c0"].tolist(), strict=True)) == pytest.approx(
        {0: 1.5, 1: 2.0, 2: math.nan, 3: 2.5, 4: 3.0}, nan_ok=True
    )


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["c1", "c0"], "data": [["a", 1.5], ["b", 2]]}},
        {"dataframe_records": [{"c0": 1.5, "c1": "a"}, {"c0": 2, "c1": "b", "more": []}]},
        {"instances": [{"c0": 1.5, "c1": "a"}, {"c0": 2, "c1": "b"}]},
        {"inputs": {"c0": [1.5, 2], "c1": ["a", "b"]}},
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_in_all_four_forms(document: dict[str, Any], encoding: str) -> None:
    batch = parse(identity(["double", "string"]), json.dumps(document).encode(encoding), {"predictions": [0, 1]})
    assert cells(batch) == {"in_c0": [1.5, 2.0], "in_c1": ["a", "b"], "out_prediction": [0, 1]}
    assert batch.row_index.tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["text/csv; charset=utf-8", "application/vnd.apache.parquet"])
def test_csv_and_parquet(kind: str) -> None:
    import pandas as pd
    from mlflow.pyfunc.scoring_server import CONTENT_TYPES

    if kind.partition(";")[0] not in CONTENT_TYPES:
        pytest.skip("this MLflow refuses it")
    frame = pd.DataFrame({"c1": ["a", "b"], "c0": [1.5, 2.0]})
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    body = frame.to_csv(index=False).encode() if kind.startswith("text/csv") else parquet.getvalue()
    batch = parse(identity(["double", "string"]), body, {"predictions": [0, 1]}, kind.encode())
    assert cells(batch) == {"in_c0": [1.5, 2.0], "in_c1": ["a", "b"], "out_prediction": [0, 1]}


def test_no_rows_in_and_no_predictions_out_are_no_error() -> None:
    batch = parse(
        identity(["double"], [{"type": "long"}]),
        {"dataframe_split": {"columns": ["c0"], "data": []}},
        {"predictions": []},
    )
    assert (len(batch.owners), batch.errors) == (0, {})


def test_answers_with_bare_nan_and_infinity() -> None:
    floats = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
    split = {"dataframe_split": {"columns": ["c0"], "data": [[float("nan")], [1], [2]]}}
    batch = parse(identity(["double"], floats), split, b'{"predictions": [NaN, Infinity, -1.5]}')
    assert cells(batch) == {"in_c0": [None, 1.0, 2.0], "out_prediction": [None, math.inf, -1.5]}


def test_probabilities_have_a_column_each_and_frames_go_by_name() -> None:
    split = {"dataframe_split": {"columns": ["c0"], "data": [[0], [1]]}}
    matrix = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    batch = parse(identity(["double"], matrix), split, {"predictions": [[0.25, 0.75], [0.5, 0.5]]})
    assert [cells(batch)[name] for name in list(batch.columns)[1:]] == [[0.25, 0.5], [0.75, 0.5]]
    frame = [{"name": "label", "type": "string"}, {"name": "score", "type": "double"}]
    records = {"predictions": [{"score": 0.5, "label": "a"}, {"score": 1, "label": "b"}]}
    for answer in (records, {"predictions": {"score": [0.5, 1], "label": ["a", "b"]}}):
        batch = parse(identity(["double"], frame), split, answer)
        assert cells(batch) | {"in_c0": []} == {"in_c0": [], "out_label": ["a", "b"], "out_score": [0.5, 1.0]}
    series = parse(identity(["double"]), split, {"predictions": [{"0": 4}, {"0": 5}]})
    assert cells(series)["out_prediction"] == [4, 5]


def test_a_model_without_a_signature_has_json_rows() -> None:
    model = ModelIdentity(name="m", version="1", uri="u")
    batch = parse(model, {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}},
                  {"predictions": [{"p": 1}, [2]]})  # fmt: skip
    assert cells(batch) == {"in_row": ['{"a":1,"b":"x"}', '{"a":2,"b":null}'], "out_prediction": ['{"p":1}', "[2]"]}
    llm = parse(model, {"messages": [{"role": "user", "content": "hi"}]}, {"choices": []})
    assert (llm.errors, cells(llm)["out_prediction"]) == ({}, ['{"choices":[]}'])


@pytest.mark.parametrize("split", [{"data": [[], []]}, {"columns": [], "index": [4, 5], "data": []}])
def test_rows_without_columns_to_a_model_without_a_signature_are_empty_rows(split: dict[str, Any]) -> None:
    model = ModelIdentity(name="m", version="1", uri="u")
    for body in ({"dataframe_split": split}, {"dataframe_records": [{}, {}]}):
        batch = parse(model, body, {"predictions": [1, 2]})
        assert cells(batch) == {"in_row": ["{}", "{}"], "out_prediction": ["1", "2"]}
        assert batch.row_index.tolist() == [0, 1]


def test_an_empty_object_is_the_answer_to_no_typed_row() -> None:
    outputs = ModelIdentity(name="m", version="1", uri="u", signature={"outputs": '[{"type": "long"}]'})
    batch = parse(outputs, {"dataframe_records": [{}]}, {"predictions": {}})
    assert (len(batch.owners), batch.errors) == (0, {0: "a row of the answer names 0 outputs, the signature 1"})


def test_tensors_that_do_not_hold_one_row_each_make_no_rows() -> None:
    tensors = [
        {"name": n, "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}} for n in ("one", "other")
    ]
    model = ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(tensors))
    batch = parse(model, {"inputs": {"one": [1, 2], "other": [1]}}, {"predictions": [0, 1]})
    assert (len(batch.owners), batch.errors) == (0, {0: "the inputs do not all hold 2 rows"})


def test_tensors_and_nested_columns_are_json() -> None:
    tensor = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    model = ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(tensor))
    batch = parse(model, {"inputs": [[1, 2], [3, 4]]}, {"predictions": [0, 1]})
    assert cells(batch) == {"in_0": ["[1.0,2.0]", "[3.0,4.0]"], "out_prediction": [0, 1]}
    array = [{"name": "a", "type": "array", "items": {"type": "long"}, "required": True}]
    model = ModelIdentity(name="m", version="1", uri="u", signature=traffic.signature(array))
    batch = parse(model, {"dataframe_records": [{"a": [1, 2]}]}, {"predictions": [0]})
    assert cells(batch)["in_a"] == ["[1,2]"]


def test_an_optional_column_that_is_absent_is_missing() -> None:
    batch = parse(
        identity(["double", "string"], required=False), {"dataframe_records": [{"c0": 1}]}, {"predictions": [0]}
    )
    assert cells(batch) == {"in_c0": [1.0], "in_c1": [None], "out_prediction": [0]}


def test_reasons_hold_no_values() -> None:
    for body in (b"secret", b'{"dataframe_records": [{"c0": "secret"}]}', b"\xff", b'{"inputs": {"c0": ["secret"]}}'):
        batch = parse(identity(["double"]), body, {"predictions": [0]})
        assert batch.errors
        assert "secret" not in str(batch.errors)
        assert len(batch.owners) == 0


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9), st.integers(100, 599)), max_size=5))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_many_invocations_are_decoded_as_each_is(parts: list[tuple[bytes, bytes, int]]) -> None:
    sent = [
        Invocation(bytes([i]) * 16, i - 2, status, Arm(i % 3), 2**31 + i, b"t", b"c" * i, request, response, 1, 2, 3)
        for i, (request, response, status) in enumerate(parts, 2)
    ]
    batch, refused = decode([one.pack() for one in sent])
    assert not refused
    for i, one in enumerate(sent):
        assert Invocation(
            bytes(batch.ids[i]), int(batch.received_at[i]), int(batch.status[i]), Arm(int(batch.arm[i])),
            int(batch.latency_us[i]), batch.content_types[i], batch.client_request_ids[i], batch.requests[i],
            batch.responses[i], int(batch.parse_us[i]), int(batch.predict_us[i]), int(batch.encode_us[i]),
        ) == one  # fmt: skip
