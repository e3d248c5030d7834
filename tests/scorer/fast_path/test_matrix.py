"""Which models get a matrix in the place of MLflow's frame, and that nobody can tell."""

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frame_recorder import mlflows_answer, pyfunc, schema
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.pyfunc import PyFuncModel
from mlflow.sklearn import _SklearnModelWrapper
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from driftline.scorer.fast_path import FastPath

# A worker's filter is set where a model is loaded; pytest has its own for every test.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

NAMES = ["a", "b", "c", "d"]
COLUMNS = dict.fromkeys(NAMES, "double")
RNG = np.random.default_rng(3)
TRAIN = pd.DataFrame(RNG.normal(size=(120, 4)), columns=NAMES)
CLASSES = np.where(TRAIN.a + TRAIN.b > 0, "ja", "nei")
NUMBERS = TRAIN.a * 3 - TRAIN.c
OWN = {
    "logistic": (LogisticRegression(), CLASSES, "predict"),
    "probabilities": (LogisticRegression(), CLASSES, "predict_proba"),
    "forest": (RandomForestClassifier(5, random_state=0), CLASSES, "predict_proba"),
    "histograms": (HistGradientBoostingClassifier(max_iter=5), CLASSES, "predict"),
    "boosting": (GradientBoostingRegressor(n_estimators=5), NUMBERS, "predict"),
    "neighbours": (KNeighborsClassifier(), CLASSES, "predict"),
    "kernel": (SVC(), CLASSES, "predict"),
    "network": (MLPRegressor(hidden_layer_sizes=(5,), max_iter=20, random_state=0), NUMBERS, "predict"),
    "calibrated": (CalibratedClassifierCV(LinearSVC(), cv=2), CLASSES, "predict_proba"),
    "pipeline": (make_pipeline(StandardScaler(), PCA(2), Ridge()), NUMBERS, "predict"),
    "frames between steps": (
        make_pipeline(StandardScaler(), Ridge()).set_output(transform="pandas"),
        NUMBERS,
        "predict",
    ),
    "columns by number": (
        make_pipeline(ColumnTransformer([("s", StandardScaler(), [0, 2])]), Ridge()),
        NUMBERS,
        "predict",
    ),
    "a function of NumPy": (make_pipeline(FunctionTransformer(np.tanh), Ridge()), NUMBERS, "predict"),
    "transformed target": (
        TransformedTargetRegressor(Ridge(), func=np.sinh, inverse_func=np.arcsinh),
        NUMBERS,
        "predict",
    ),
    "several outputs": (LinearRegression(), TRAIN[["a", "b"]] * 3, "predict"),
}


def doubled(frame: Any) -> Any:
    return frame * 2


class Shifted(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Somebody's own estimator, which looks at the names of its frame."""

    def fit(self, data: Any, target: Any) -> "Shifted":
        self.mean_ = float(np.mean(target))
        return self

    def predict(self, data: Any) -> Any:
        return np.array(data["a"]) + self.mean_


def _model(estimator: Any, target: Any, predict_fn: str = "predict", names: list[str] = NAMES) -> PyFuncModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that did not converge
        estimator.fit(TRAIN, target)
    return pyfunc(_SklearnModelWrapper(estimator), schema(dict.fromkeys(names, "double")), predict_fn=predict_fn)


def _fast_path(model: PyFuncModel) -> FastPath:
    fast_path = FastPath.for_model(model)
    assert fast_path is not None
    return fast_path


def _body(rows: list[list[float]], **beside: Any) -> bytes:
    return json.dumps({"dataframe_split": {"columns": NAMES, "data": rows, **beside}}).encode()


def _answer(fast_path: FastPath, body: bytes) -> bytes | None:
    """The fast path's answer, None where MLflow's own function has to give it."""
    frame = fast_path.parse(body)
    assert frame is not None
    try:
        return fast_path.encode(fast_path.predict(frame))
    except Exception:
        return None


@pytest.fixture(scope="module")
def own() -> dict[str, tuple[PyFuncModel, FastPath]]:
    models = {name: _model(*parts) for name, parts in OWN.items()}
    return {name: (model, _fast_path(model)) for name, model in models.items()}


@pytest.mark.parametrize("name", OWN)
def test_a_model_of_scikit_learns_own_gets_matrices(own: dict[str, tuple[PyFuncModel, FastPath]], name: str) -> None:
    model, fast_path = own[name]
    assert fast_path.hands_matrices
    handed: list[Any] = []
    estimator_predict = model._predict_fn
    model._predict_fn = lambda data, params=None: handed.append(data) or estimator_predict(data)
    try:
        _answer(fast_path, _body([[0.5, -1.0, 2.0, 0.0]]))
    finally:
        model._predict_fn = estimator_predict
    assert type(handed[0]) is np.ndarray
    assert handed[0].tolist() == [[0.5, -1.0, 2.0, 0.0]]


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(OWN)),
    rows=st.lists(
        st.lists(st.floats(width=64) | st.sampled_from([1e-300, -0.0, 5e-324, 1e16]), min_size=4, max_size=4),
        min_size=1,
        max_size=9,
    ),
)
@pytest.mark.filterwarnings("ignore")  # NumPy warns of huge numbers, in frames and matrices alike
def test_a_matrix_is_answered_with_mlflows_bytes_or_left_to_mlflow(
    own: dict[str, tuple[PyFuncModel, FastPath]], name: str, rows: list[list[float]]
) -> None:
    model, fast_path = own[name]
    body = _body(rows)
    try:
        expected = mlflows_answer(model, body)
    except Exception:
        expected = None
    assert _answer(fast_path, body) == expected


@pytest.mark.parametrize(
    "estimator",
    [
        Shifted(),
        make_pipeline(StandardScaler(), FunctionTransformer(doubled), Ridge()),
        make_pipeline(ColumnTransformer([("s", StandardScaler(), ["a", "b"])]), Ridge()),
        TransformedTargetRegressor(Shifted()),
    ],
    ids=["own estimator", "own function", "columns by name", "own estimator within"],
)
def test_code_of_somebody_else_and_names_of_columns_get_the_frame(estimator: Any) -> None:
    model = _model(estimator, NUMBERS)
    fast_path = _fast_path(model)
    assert not fast_path.hands_matrices
    body = _body([[0.5, -1.0, 2.0, 0.0]])
    assert _answer(fast_path, body) == mlflows_answer(model, body)


def test_names_in_another_order_than_the_models_are_still_refused() -> None:
    model = _model(Ridge(), NUMBERS, names=["b", "a", "c", "d"])
    fast_path = _fast_path(model)
    assert not fast_path.hands_matrices
    assert _answer(fast_path, _body([[0.5, -1.0, 2.0, 0.0]])) is None


def test_columns_of_several_types_get_the_frame() -> None:
    model = _model(Ridge(), NUMBERS)
    mixed = pyfunc(model._model_impl, schema({**COLUMNS, "d": "long"}))
    assert not _fast_path(mixed).hands_matrices


def test_rows_with_labels_or_without_an_optional_column_get_the_frame() -> None:
    model = _model(Ridge(), NUMBERS)
    optional = pyfunc(model._model_impl, schema({**COLUMNS, "d": "double?"}))
    fast_path = _fast_path(optional)
    handed: list[Any] = []
    optional._predict_fn = lambda data, params=None: handed.append(data) or np.zeros(len(data))
    _answer(fast_path, _body([[0.5, -1.0, 2.0, 0.0]], index=[7]))
    _answer(fast_path, json.dumps({"dataframe_records": [{"a": 1.0, "b": 2.0, "c": 3.0}]}).encode())
    assert [type(data) for data in handed] == [pd.DataFrame, pd.DataFrame]


def test_what_a_model_does_to_its_matrix_is_seen_by_nobody_else() -> None:
    model = _model(Ridge(), NUMBERS)
    fast_path = _fast_path(model)
    frame = fast_path.parse(_body([[0.5, -1.0, 2.0, 0.0]]))
    assert frame is not None

    def overwrite(data: Any, params: Any = None) -> Any:
        data[:] = 9.0
        return np.zeros(1)

    model._predict_fn = overwrite
    fast_path.predict(frame)
    assert [column.tolist() for column in frame.columns if column is not None] == [[0.5], [-1.0], [2.0], [0.0]]


def test_scikit_learn_does_not_warn_of_missing_names_and_of_all_else_it_does() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        fast_path = _fast_path(_model(LogisticRegression(), CLASSES))
        assert fast_path.hands_matrices
        _answer(fast_path, _body([[0.5, -1.0, 2.0, 0.0]]))
        ours = [str(warning.message) for warning in heard if "feature names" in str(warning.message)]
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert not ours
    assert "something else" in [str(warning.message) for warning in heard]


def test_a_joined_matrix_holds_the_rows_in_their_order(own: dict[str, tuple[PyFuncModel, FastPath]]) -> None:
    model, fast_path = own["pipeline"]
    frames = [fast_path.parse(_body([[float(i), 1.0, -1.0, 0.5]] * (1 + i % 2))) for i in range(5)]
    joined = fast_path.join([frame for frame in frames if frame is not None])
    expected = model._model_impl.predict(joined.data_frame)
    assert fast_path.predict(joined).tolist() == expected.tolist()
