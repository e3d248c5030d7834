"""Which models are predicted together, judged with real pyfuncs."""

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from driftline.scorer.batch_check import batch_objection, same_answer
from driftline.scorer.fast_path import FastPath
from driftline.scorer.prediction_pool import BatchLimits

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")  # MLflow's import, of itself

_SAVE = """
import sys, mlflow, pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
signature = ModelSignature(inputs=Schema([ColSpec("double", "x"), ColSpec("string", "word")]))
example = pd.DataFrame({"x": [1.0, 2.5, -3.0], "word": ["known", "known", "known"]})
for name in sys.argv[2:]:
    code = sys.argv[1].replace("KIND", name)
    open(name + ".py", "w").write(code)
    mlflow.pyfunc.save_model(
        name, python_model=name + ".py", signature=signature, pip_requirements=[],
        input_example=example if name.startswith("picky_example") else None,
    )
"""
_MODEL = """
import mlflow, numpy as np
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        x = model_input["x"].to_numpy()
        kind = "KIND"
        if kind.startswith("picky") and set(model_input["word"]) != {"known"}:
            raise ValueError("an unknown word")
        if kind == "standardising":
            return x - x.mean()
        if kind == "rounding":
            return x * (1 + len(x) * 1e-12)
        if kind == "summing":
            return np.array([x.sum()])
        if kind == "large":
            return x + (len(x) > 40)
        return x * 2
mlflow.models.set_model(Model())
"""
_KINDS = ("plain", "standardising", "rounding", "summing", "large", "picky", "picky_example")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked")
    subprocess.run([sys.executable, "-c", _SAVE, _MODEL, *_KINDS], check=True, capture_output=True, cwd=folder)
    return folder


def _objection(folder: Path, kind: str, tolerance: float = 0.0, rows: int = 64) -> str | None:
    model = mlflow.pyfunc.load_model(str(folder / kind))
    fast_path = FastPath.for_model(model)
    assert fast_path is not None
    return batch_objection(fast_path, model, BatchLimits(rows, 0.005, tolerance))


def test_a_model_that_looks_at_rows_alone_is_predicted_together(folder: Path) -> None:
    assert _objection(folder, "plain") is None


def test_a_model_that_looks_at_its_neighbours_is_not(folder: Path) -> None:
    objection = _objection(folder, "standardising", tolerance=1e-3)
    assert objection is not None
    assert "predicts 2 rows together otherwise than alone" in objection


def test_the_last_bits_matter_unless_the_user_allows_them(folder: Path) -> None:
    objection = _objection(folder, "rounding")
    assert objection is not None
    assert "DRIFTLINE_SCORER_BATCH_TOLERANCE" in objection
    assert _objection(folder, "rounding", tolerance=1e-9) is None


def test_an_answer_that_cannot_be_cut_is_no_batchs(folder: Path) -> None:
    assert _objection(folder, "summing") is not None


def test_batches_as_large_as_they_may_become_are_tried(folder: Path) -> None:
    assert _objection(folder, "large", rows=32) is None
    assert _objection(folder, "large", rows=41) is not None


def test_a_model_that_refuses_drawn_rows_needs_an_example(folder: Path) -> None:
    objection = _objection(folder, "picky")
    assert objection is not None
    assert "`input_example`" in objection
    assert _objection(folder, "picky_example") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"predictions": [1.0]}', b'{"predictions": [1.0]}', True),
        (b'{"predictions": [1.0, NaN]}', b'{"predictions": [1.0000001, NaN]}', True),
        (b'{"predictions": [1.0]}', b'{"predictions": [1.01]}', False),
        (b'{"predictions": [1]}', b'{"predictions": [1.0]}', False),
        (b'{"predictions": [1]}', b'{"predictions": [2]}', False),
        (b'{"predictions": [1.0]}', b'{"predictions": [1.0, 1.0]}', False),
        (b'{"predictions": [{"a": 1000000.0}]}', b'{"predictions": [{"a": 1000001.0}]}', True),
        (b'{"predictions": [{"a": 1.0}]}', b'{"predictions": [{"b": 1.0}]}', False),
        (b'{"predictions": ["x"]}', b'{"predictions": ["y"]}', False),
    ],
)
def test_a_tolerance_is_for_fractions_alone(one: bytes, other: bytes, same: bool) -> None:
    assert same_answer(one, other, 1e-5) is same
    assert same_answer(one, other, 0.0) is (one == other)
