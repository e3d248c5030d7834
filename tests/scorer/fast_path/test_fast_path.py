"""Which models and requests take the fast path, and what it keeps apart."""

import contextlib
import json
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frame_recorder import Rig, pyfunc, schema
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from driftline.scorer.fast_path import FastPath, Frame

COLUMNS = {"a": "double", "n": "long", "s": "string?"}
PARAMS = ParamSchema([ParamSpec("n", DataType.long, 1), ParamSpec("word", DataType.string, "none")])


class Echo:
    """A pyfunc implementation that returns what it gets."""

    def predict(self, data: Any, params: Any = None) -> Any:
        return data

    def predict_proba(self, data: Any) -> Any:
        return data


def _body(rows: Any, **beside: Any) -> bytes:
    return json.dumps({"dataframe_records": rows, **beside}).encode()


def _taken(fast_path: FastPath | None, body: bytes) -> Frame:
    assert fast_path is not None
    frame = fast_path.parse(body)
    assert frame is not None
    return frame


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (None, "no signature"),
        (Schema([TensorSpec(np.dtype("float64"), (-1, 2))]), "without a name"),
        (Schema([TensorSpec(np.dtype("float64"), (-1, 2), "x")]), "type float64"),
        (Schema([ColSpec(DataType.double)]), "without a name"),
        (Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.datetime, "t")]), "type datetime"),
        (Schema([ColSpec(DataType.binary, "a")]), "type binary"),
        (Schema([ColSpec(Array(DataType.double), "a")]), "type Array"),
        (Schema([ColSpec(DataType.double, "")]), "without a name"),
        (Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.long, "a")]), "twice"),
    ],
)
def test_a_signature_of_another_kind_is_left_to_mlflow_with_the_reason(inputs: Schema | None, why: str) -> None:
    verdict = FastPath.judge(pyfunc(Echo(), inputs))
    assert verdict.fast_path is None
    assert why in verdict.sentence
    assert "docs/serving.md, What makes answers fast" in verdict.sentence


def test_a_model_described_by_type_hints_is_left_to_mlflow() -> None:
    model = pyfunc(Echo(), schema(COLUMNS))
    model.metadata.signature._is_signature_from_type_hint = True
    assert "type hints" in FastPath.judge(model).sentence


def test_a_model_with_a_predict_of_its_own_is_left_to_mlflow() -> None:
    class Special(PyFuncModel):  # type: ignore[misc]
        pass

    model = pyfunc(Echo(), schema(COLUMNS))
    assert "plain pyfunc" in FastPath.judge(Special(model.metadata, Echo())).sentence
    model.predict = lambda data, params=None: data
    assert "plain pyfunc" in FastPath.judge(model).sentence


def test_parameters_that_the_predict_function_does_not_take_are_left_to_mlflow() -> None:
    assert FastPath.for_model(pyfunc(Echo(), schema(COLUMNS), predict_fn="predict_proba")) is not None
    verdict = FastPath.judge(pyfunc(Echo(), schema(COLUMNS), PARAMS, predict_fn="predict_proba"))
    assert verdict.fast_path is None
    assert "parameters" in verdict.sentence


def test_an_mlflow_that_makes_another_frame_is_noticed_when_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.models import utils

    honest = utils._enforce_named_col_schema
    monkeypatch.setattr(utils, "_enforce_named_col_schema", lambda frame, schema: honest(frame, schema).iloc[:, ::-1])
    verdict = FastPath.judge(pyfunc(Echo(), schema(COLUMNS)))
    assert verdict.fast_path is None
    assert "other frames" in verdict.sentence


def test_an_mlflow_that_writes_answers_otherwise_is_noticed_when_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.pyfunc import scoring_server

    honest = scoring_server.predictions_to_json
    monkeypatch.setattr(
        scoring_server, "predictions_to_json", lambda raw, output: honest(raw, output, metadata={"version": 1})
    )
    assert FastPath.for_model(pyfunc(Echo(), schema(COLUMNS))) is None


def test_an_mlflow_without_a_name_we_need_leaves_every_model_to_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.models import utils

    monkeypatch.delattr(utils, "_enforce_params_schema")
    verdict = FastPath.judge(pyfunc(Echo(), schema(COLUMNS)))
    assert verdict.fast_path is None
    assert "_enforce_params_schema" in verdict.sentence


@pytest.mark.parametrize("extra", [{"x": 1}, {"x": None, "y": "ä", "z": 2.5}, {"x": 10**30}, {"": True}])
def test_extra_columns_of_a_frame_are_dropped_as_mlflow_does(extra: dict[str, Any]) -> None:
    assert Rig(COLUMNS).takes(_body([{"a": 1.5, "n": 2, "s": "x", **extra}, {"s": "", "n": 3, **extra, "a": 1}]))


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": {"a": [1.5], "n": [2]}},
        {"inputs": [{"a": 1.5, "n": 2}]},
        {"instances": [{"a": 1.5, "n": 2}, {"n": 7, "a": 0.5}]},
        {"dataframe_split": {"columns": ["n", "a"], "data": [[1, 2.5]], "index": None}},
        {"dataframe_records": [{"a": None, "n": 2}]},
    ],
)
def test_an_absent_optional_column_stays_absent(document: dict[str, Any]) -> None:
    rig = Rig(COLUMNS)
    assert rig.takes(json.dumps(document).encode())
    assert list(rig.recorder.frame.columns) == ["a", "n"]


@pytest.mark.parametrize("beside", [{}, {"params": {}}, {"params": None}, {"params": {"n": 2}}, {"params": {"o": 2}}])
@pytest.mark.parametrize("declared", [None, PARAMS])
def test_parameters_reach_the_model_as_mlflow_hands_them(beside: dict[str, Any], declared: ParamSchema | None) -> None:
    assert Rig(COLUMNS, declared).takes(_body([{"a": 1.5, "n": 2}], **beside))


@pytest.mark.parametrize(
    "beside",
    [{"params": {"n": "x"}}, {"params": {"n": 2.5}}, {"params": [1]}, {"messages": []}, {"inputs": [1]}, {"other": 1}],
)
def test_what_stands_beside_the_rows_and_is_unusual_is_left_to_mlflow(beside: dict[str, Any]) -> None:
    assert not Rig(COLUMNS, PARAMS).takes(_body([{"a": 1.5, "n": 2}], **beside))


@pytest.mark.parametrize(
    "row",
    [
        {"a": True, "n": 2},
        {"a": "1.5", "n": 2},
        {"a": 1.5, "n": 2.0},
        {"a": 1.5, "n": None},
        {"a": 1.5, "n": 2**63},
        {"a": 10**400, "n": 2},
        {"a": 1.5},
        {"a": 1.5, "n": 2, "s": 1},
        {"a": 1.5, "n": 2, "s": None},
        {"a": 1.5, "n": 2, "s": "\ud800"},
        {"a": 1.5, "n": 2, "x": [1]},
        {"a": 1.5, "n": 2, "\ud800": 1},
    ],
)
def test_a_cell_that_mlflow_would_coerce_or_refuse_is_left_to_mlflow(row: dict[str, Any]) -> None:
    assert not Rig(COLUMNS).takes(_body([row]))


def test_what_a_model_raises_comes_through() -> None:
    class Raising:
        def predict(self, data: Any, params: Any = None) -> Any:
            raise MlflowException("the model's own words")

    fast_path = FastPath.for_model(pyfunc(Raising(), schema(COLUMNS)))
    assert fast_path is not None
    with pytest.raises(MlflowException, match="own words"):
        fast_path.predict(_taken(fast_path, _body([{"a": 1.5, "n": 2}])))


def test_what_a_model_does_to_its_frame_is_seen_by_nobody_else() -> None:
    class Vandal:
        def predict(self, data: pd.DataFrame, params: Any = None) -> Any:
            found = data.columns.tolist(), data.columns.name, data.to_dict("list")
            data.columns.name = "changed"
            for position in range(data.shape[1]):
                data.isetitem(position, [data.iloc[0, position]] * len(data))
            data.iloc[0, 0] = 99.0
            return found

    fast_path = FastPath.for_model(pyfunc(Vandal(), schema({"a": "double", "b": "double", "s": "string"})))
    assert fast_path is not None
    body = _body([{"a": 1.5, "b": 2.0, "s": "x"}, {"a": 2.5, "b": 3.0, "s": "y"}])
    frame = _taken(fast_path, body)
    first = fast_path.predict(frame)
    assert first == (["a", "b", "s"], None, {"a": [1.5, 2.5], "b": [2.0, 3.0], "s": ["x", "y"]})
    assert fast_path.predict(frame) == first
    assert fast_path.predict(_taken(fast_path, body)) == first
    assert [column.tolist() for column in frame.columns if column is not None] == list(first[2].values())


def test_a_model_that_writes_into_the_memory_of_its_column_names_changes_nobody_elses() -> None:
    class Writer:
        def predict(self, data: pd.DataFrame, params: Any = None) -> Any:
            found = data.columns.tolist(), "a" in data
            for names in (data.columns.values, data.columns.array, np.asarray(data.columns)):
                with contextlib.suppress(ValueError):  # unsuppressed, MLflow's own function answers
                    names[0] = "changed"
            return found

    fast_path = FastPath.for_model(pyfunc(Writer(), schema(COLUMNS)))
    assert fast_path is not None
    body = _body([{"a": 1.5, "n": 2, "s": "x"}])
    for _ in range(2):
        assert fast_path.predict(_taken(fast_path, body)) == (["a", "n", "s"], True)


def test_the_columns_of_a_frame_are_typed_and_in_the_signatures_order() -> None:
    columns = {"s": "string", "f": "float", "o": "double?", "i": "integer", "b": "boolean", "l": "long"}
    fast_path = FastPath.for_model(pyfunc(Echo(), schema(columns)))
    rows = [{"b": True, "l": 1, "i": 2, "f": None, "s": "x"}, {"b": False, "l": 3, "i": 4, "f": 0.5, "s": None}]
    frame = _taken(fast_path, _body(rows))
    found = [None if column is None else (column.dtype.name, column.tolist()) for column in frame.columns]
    assert found[0] == ("object", ["x", None])
    assert found[1] is not None
    assert (found[1][0], found[1][1][1]) == ("float32", 0.5)
    assert np.isnan(found[1][1][0])
    assert found[2:] == [None, ("int32", [2, 4]), ("bool", [True, False]), ("int64", [1, 3])]


def test_joined_rows_keep_their_order_and_types() -> None:
    fast_path = FastPath.for_model(pyfunc(Echo(), schema(COLUMNS)))
    assert fast_path is not None
    bodies = [[{"a": i / 2, "n": i, "s": str(i)} for i in span] for span in (range(2), range(2, 3), range(3, 7))]
    joined = fast_path.join([_taken(fast_path, _body(rows)) for rows in bodies])
    whole = _taken(fast_path, _body([row for rows in bodies for row in rows]))
    assert joined.rows == 7
    pd.testing.assert_frame_equal(joined.data_frame, whole.data_frame, check_exact=True)


@pytest.mark.parametrize(
    "other",
    [
        {"dataframe_records": [{"a": 1.5, "n": 2}]},
        {"dataframe_records": [{"a": 1.5, "n": 2, "s": "x"}], "params": {"n": 2}},
        {"dataframe_split": {"columns": ["a", "n", "s"], "data": [[1.5, 2, "x"]], "index": [7]}},
    ],
    ids=["without a column", "with parameters", "with a label"],
)
def test_requests_with_something_of_their_own_are_not_joined(other: dict[str, Any]) -> None:
    fast_path = FastPath.for_model(pyfunc(Echo(), schema(COLUMNS), PARAMS))
    assert fast_path is not None
    usual = _taken(fast_path, _body([{"a": 1.5, "n": 2, "s": "x"}]))
    own = _taken(fast_path, json.dumps(other).encode())
    assert usual.join_key is not None
    assert own.join_key != usual.join_key
    with pytest.raises(ValueError, match="join key"):
        fast_path.join([usual, own])


def test_labels_that_only_count_the_rows_do_not_hinder_joining() -> None:
    fast_path = FastPath.for_model(pyfunc(Echo(), schema({"a": "double"})))
    body = json.dumps({"dataframe_split": pd.DataFrame({"a": [1.5, 2.5]}).to_dict(orient="split")}).encode()
    assert _taken(fast_path, body).join_key == _taken(fast_path, b'{"inputs": {"a": 1}}').join_key is not None


def test_ever_new_orders_of_columns_do_not_fill_the_memory() -> None:
    fast_path = FastPath.for_model(pyfunc(Echo(), schema({"a": "double", **{f"o{i}": "double?" for i in range(9)}})))
    assert fast_path is not None
    for i in range(400):
        row = {"a": 1.0, f"extra{i}": 1, **{f"o{k}": 0.5 for k in range(9) if i >> k & 1}}
        assert fast_path.parse(_body([row])) is not None
    assert len(fast_path._reader._arrangements) <= 100
    assert len(fast_path._reader._signature._layouts) <= 64


def test_many_threads_get_their_own_rows() -> None:
    fast_path = FastPath.for_model(pyfunc(Echo(), schema({"a": "double", "b": "double?"})))
    assert fast_path is not None
    wrong: list[Any] = []

    def ask(number: int) -> None:
        for i in range(200):
            row = {"a": number + i / 1000} | ({"b": 1.0} if i % 2 else {}) | {f"x{i}": 1}
            found = fast_path.predict(_taken(fast_path, _body([row])))
            if found.a.tolist() != [row["a"]]:
                wrong.append(row)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_parameters_and_the_prediction_context_reach_a_python_model() -> None:
    rig = Rig(COLUMNS, PARAMS)
    assert rig.takes(_body([{"a": 1.5, "n": 2, "s": "x"}], params={"n": 5}))
    assert rig.recorder.params == {"n": 5, "word": "none"}
    assert rig.recorder.context["model_id"] == "m-1"
