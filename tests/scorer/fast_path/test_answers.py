"""Answers: what models return, encoded as MLflow's server does, and joined predictions cut per request."""

import datetime
import decimal
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frame_recorder import mlflows_answer, pyfunc, schema
from mlflow.sklearn import _SklearnModelWrapper
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from driftline.scorer.fast_path import FastPath

NAMES = ["a", "b", "c"]
COLUMNS = dict.fromkeys(NAMES, "double")
_RNG = np.random.default_rng(3)
TRAIN = pd.DataFrame(_RNG.normal(size=(60, 3)), columns=NAMES)
LABELS = np.where(TRAIN.a > TRAIN.b, "ja", "nei\u00f0")

ANSWERS: dict[str, Callable[[], Any]] = {
    "doubles": lambda: np.array([0.1, 1e16, 1e-5, 5e-324, -0.0, np.nan, np.inf, -np.inf]),
    "single precision": lambda: np.array([[0.1, 1e30]], np.float32),
    "half precision": lambda: np.array([0.1], np.float16),
    "extended precision": lambda: np.array([0.1], np.longdouble),
    "integers": lambda: np.array([[1, -(2**63)]]),
    "unsigned": lambda: np.array([2**64 - 1], np.uint64),
    "booleans": lambda: np.array([True, False]),
    "texts": lambda: np.array(["\u00e4\u2603", "\u2028", "\ud800", '"\\']),
    "objects": lambda: np.array(["a", 1, None, np.nan, 1.5], object),
    "objects with lists": lambda: np.array([[1], None, {"x": np.int64(1)}], object),
    "bytes": lambda: np.array([b"ab"]),
    "complex": lambda: np.array([1j]),
    "days": lambda: np.array(["2024-01-01"], "datetime64[D]"),
    "moments": lambda: np.array(["2024-01-01"], "datetime64[ns]"),
    "spans": lambda: np.array([1], "timedelta64[s]"),
    "no rows": lambda: np.empty((0, 2)),
    "no dimension": lambda: np.array(1.5),
    "structured": lambda: np.array([(1, 2.0)], [("a", int), ("b", float)]),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    "matrix": lambda: np.ones((2, 2)).view(np.matrix),
    "frame": lambda: pd.DataFrame({"x": [1, 2], 0: [0.5, np.nan], True: [True, False]}),
    "frame with text": lambda: pd.DataFrame({"x": [1, 2], "y": ["a", None]}),
    "frame with gaps": lambda: pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}),
    "frame of moments": lambda: pd.DataFrame({"x": pd.to_datetime(["2024-01-01", None])}),
    "frame of categories": lambda: pd.DataFrame({"x": pd.Categorical(["a", "b"])}),
    "frame with two levels": lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
    "frame of objects": lambda: pd.DataFrame({"x": [[1], {"a": 1}]}),
    "frame without rows": lambda: pd.DataFrame({"x": []}),
    "frame without columns": lambda: pd.DataFrame(index=[1, 2]),
    "series": lambda: pd.Series([1.5, np.nan]),
    "named series": lambda: pd.Series([1, 2], index=[7, 7], name="y"),
    "series of text": lambda: pd.Series(["a", None], name="y"),
    "list": lambda: ["a", 1, None, 1e300, True, float("nan")],
    "list of scalars": lambda: [np.float64(0.1), np.float32(0.1), np.int64(1), np.bool_(True), np.str_("a")],
    "list of arrays": lambda: [np.array([1.0]), np.array([2.0])],
    "nested list": lambda: [[1, [2.5]], {"a": None}],
    "deep list": lambda: _deep(900),
    "tuple": lambda: (1, 2.5),
    "dict": lambda: {"a": np.array([1, 2]), "b": [1.5], 3: None, 0.1: 1, None: 2, True: 3},
    "dict with a NumPy key": lambda: {np.int64(1): 1},
    "scalar": lambda: np.float64(0.1),
    "whole number": lambda: 7,
    "text": lambda: "f\u00fcr",
    "nothing": lambda: None,
    "date": lambda: [datetime.date(2024, 1, 1), pd.Timestamp("2024-01-01 00:00:00.000000001")],
    "binary": lambda: b"ab",
    "set": lambda: {1},
    "decimal": lambda: [decimal.Decimal(1)],
    "generator": lambda: (i for i in range(2)),
    "missing": lambda: [pd.NA],
}


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else []


class Answering:
    """A pyfunc implementation whose answer is given."""

    def __init__(self, answer: Callable[[pd.DataFrame], Any]) -> None:
        self._answer = answer

    def predict(self, data: pd.DataFrame, params: Any = None) -> Any:
        return self._answer(data)


def _request(frame: pd.DataFrame) -> bytes:
    return json.dumps({"dataframe_split": frame.to_dict(orient="split")}).encode()


def _answer(fast_path: FastPath, body: bytes) -> bytes | None:
    frame = fast_path.parse(body)
    assert frame is not None
    return fast_path.encode(fast_path.predict(frame))


@pytest.mark.filterwarnings("ignore")  # pandas and NumPy warn of some of these, to MLflow and to us
@pytest.mark.parametrize("make", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_encoded_as_mlflow_does_or_left_to_mlflow(make: Callable[[], Any]) -> None:
    model = pyfunc(Answering(lambda _: make()), schema(COLUMNS))
    fast_path = FastPath.for_model(model)
    assert fast_path is not None
    body = _request(TRAIN[:2])
    try:
        expected = mlflows_answer(model, body)
    except Exception:
        expected = None
    assert _answer(fast_path, body) == expected


@pytest.mark.parametrize(
    ("estimator", "target", "predict_fn"),
    [
        (LogisticRegression(), LABELS, "predict"),
        (LogisticRegression(), LABELS.astype(object), "predict"),
        (LogisticRegression(), LABELS == "ja", "predict"),
        (LogisticRegression(), LABELS, "predict_proba"),
        (LogisticRegression(), LABELS, "predict_log_proba"),
        (LinearRegression(), TRAIN.a * 3, "predict"),
        (LinearRegression(), TRAIN[["a", "b"]] * 3, "predict"),
        (RandomForestClassifier(5, random_state=0), (TRAIN.a > 0).astype("int64"), "predict"),
        (RandomForestClassifier(5, random_state=0), LABELS, "predict_proba"),
        (RandomForestRegressor(5, random_state=0), TRAIN.c.astype("float32"), "predict"),
    ],
    ids=lambda value: getattr(type(value), "__name__", None) if not isinstance(value, str) else value,
)
@pytest.mark.parametrize("rows", [1, 2, 17])
def test_an_estimators_answer_has_mlflows_bytes(estimator: Any, target: Any, predict_fn: str, rows: int) -> None:
    model = pyfunc(_SklearnModelWrapper(estimator.fit(TRAIN, target)), schema(COLUMNS), predict_fn=predict_fn)
    fast_path = FastPath.for_model(model)
    assert fast_path is not None
    body = _request(TRAIN[:rows])
    assert _answer(fast_path, body) == mlflows_answer(model, body)


def test_a_transformers_frame_has_mlflows_bytes() -> None:
    scaler = StandardScaler().fit(TRAIN).set_output(transform="pandas")
    model = pyfunc(Answering(scaler.transform), schema(COLUMNS))
    fast_path = FastPath.for_model(model)
    assert fast_path is not None
    body = _request(TRAIN[:5])
    assert _answer(fast_path, body) == mlflows_answer(model, body)


@pytest.mark.parametrize(
    "answer",
    [
        lambda frame: frame.a.to_numpy() * 3,
        lambda frame: frame.to_numpy(),
        lambda frame: np.where(frame.a > 0, "ja", "nei\u00f0"),
        lambda frame: frame * 2,
        lambda frame: frame.a * 2,
        lambda frame: frame.a.tolist(),
        lambda frame: [{"a": row.a} for row in frame.itertuples()],
    ],
)
def test_a_joined_prediction_cut_per_request_has_the_bytes_of_single_predictions(
    answer: Callable[[pd.DataFrame], Any],
) -> None:
    fast_path = FastPath.for_model(pyfunc(Answering(answer), schema(COLUMNS)))
    assert fast_path is not None
    frames = [fast_path.parse(_request(TRAIN[i : i + n].reset_index(drop=True))) for i, n in ((0, 1), (1, 3), (4, 2))]
    taken = [frame for frame in frames if frame is not None]
    assert len(taken) == 3
    parts = fast_path.split(fast_path.predict(fast_path.join(taken)), [frame.rows for frame in taken])
    assert parts is not None
    assert list(map(fast_path.encode, parts)) == [fast_path.encode(fast_path.predict(frame)) for frame in taken]


@pytest.mark.parametrize(
    "raw", [{"a": [1, 2, 3]}, "abc", None, 1.5, np.array(1.5), np.ones(4), [1, 2], (1, 2, 3), pd.DataFrame({"x": [1]})]
)
def test_a_prediction_without_one_entry_per_row_is_not_cut(raw: Any) -> None:
    fast_path = FastPath.for_model(pyfunc(Answering(len), schema(COLUMNS)))
    assert fast_path is not None
    assert fast_path.split(raw, [1, 2]) is None
