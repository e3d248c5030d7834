"""Models that fail, die or answer in other shapes."""

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature, infer_signature

from driftline.monitor.replay.answering import Answerer
from driftline.monitor.replay.candidate import Candidate, CandidateLost
from driftline.monitor.replay.served_input import CapturedRows
from driftline.store.errors import ModelNotFound
from driftline.store.prediction_columns import prediction_columns

FRAME = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) * 2})
SIGNATURE = infer_signature(FRAME, pd.DataFrame({"total": FRAME["a"] + FRAME["b"]})).to_dict()
MODEL = """
import os, tempfile, time
import mlflow.pyfunc, pandas as pd
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        print("the model prints")
        os.close(tempfile.mkstemp()[0])
        if (model_input["a"] == 1).any():
            os._exit(9)
        if (model_input["a"] == 2).any():
            time.sleep(600)
        return pd.DataFrame({"total": model_input["a"] + model_input["b"]})
mlflow.models.set_model(Model())
"""


class Total(mlflow.pyfunc.PythonModel):
    """Adds two columns, and refuses some rows."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        if (model_input["a"] == 3).any():
            raise KeyError(f"a secret of {model_input['a'].tolist()}")
        if (model_input["a"] > 17).any():
            raise ValueError("a secret")
        return pd.DataFrame({"total": model_input["a"] + model_input["b"]})


def rows(frame: pd.DataFrame, signature: dict[str, Any]) -> CapturedRows:
    columns = [c for c in prediction_columns(signature) if c.side == "input"]
    return CapturedRows(columns, {c.column_name: frame[c.name].to_numpy() for c in columns}, len(frame))


def outputs(signature: dict[str, Any]) -> list[Any]:
    return [c for c in prediction_columns(signature) if c.side == "output"]


class Bare:
    """A Python model as `load_model` would wrap it, without loading one."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, given: Any) -> Any:
        return self._model.predict(None, given)


def test_rows_that_a_model_fails_on_are_found_and_counted_by_kind_and_the_others_answered() -> None:
    found = Answerer(Bare(Total()), SIGNATURE, outputs(SIGNATURE)).answer(rows(FRAME, SIGNATURE))
    assert found.answered.tolist() == [i for i in range(18) if i != 3]
    np.testing.assert_array_equal(found.cells["out_total"], 3.0 * found.answered)
    kinds = {kind.split(" in ")[0]: places for kind, places in found.failed.items()}
    assert kinds == {"KeyError": [3], "ValueError": [18, 19]}
    assert "secret" not in str(found.failed)


def test_an_answer_that_is_not_the_signatures_is_a_failure() -> None:
    class Half(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[float]:
            return model_input["a"].tolist()[: len(model_input) // 2]

    found = Answerer(Bare(Half()), SIGNATURE, outputs(SIGNATURE)).answer(rows(FRAME[:3], SIGNATURE))
    assert found.failed == {"the answer is not what the signature says": [0, 1, 2]}
    assert len(found.cells["out_total"]) == 0


def test_a_model_that_takes_its_process_along_fails_on_that_row_alone_and_one_that_hangs_is_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "model.py").write_text(MODEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            tmp_path / "saved", python_model=tmp_path / "model.py", pip_requirements=[],
            signature=ModelSignature.from_dict(SIGNATURE),
        )  # fmt: skip
    capfd.readouterr()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))  # of the model's process
    with Candidate(str(tmp_path / "saved"), SIGNATURE, outputs(SIGNATURE), 2.0) as candidate:
        first = candidate._process.pid
        found = candidate.answer(rows(FRAME[:2], SIGNATURE))
        last = candidate._process.pid
        with pytest.raises(CandidateLost, match=r"did not answer 1 rows within 2 s: .*--timeout"):
            candidate.answer(rows(FRAME[2:3], SIGNATURE))
    assert found.answered.tolist() == [0]
    assert found.cells["out_total"].tolist() == [0.0]
    assert found.failed == {"the model's process died": [1]}
    for pid in (first, last):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid or 0), 0)
    assert capfd.readouterr().out == ""
    assert list(temporary.iterdir()) == []


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="cannot be loaded in this environment") as told:
        Candidate(str(tmp_path / "none"), SIGNATURE, outputs(SIGNATURE), 60)
    assert "\n" not in str(told.value)


def test_a_model_of_tensors_gets_tensors_and_its_probabilities_become_columns() -> None:
    class Softmax:
        def predict(self, given: np.ndarray) -> np.ndarray:
            assert (given.dtype, given.shape[1:]) == (np.float32, (2,))
            raised = np.exp(given)
            return raised / raised.sum(axis=1, keepdims=True)

    given = np.array([[0, 1], [3, 1], [2, 2]], np.float32)
    signature = infer_signature(given, Softmax().predict(given)).to_dict()
    (column,) = [c for c in prediction_columns(signature) if c.side == "input"]
    cells = np.array([str(row) for row in given.tolist()], dtype=object)
    captured = CapturedRows([column], {column.column_name: cells}, 3)
    found = Answerer(Softmax(), signature, outputs(signature)).answer(captured)
    assert found.answered.tolist() == [0, 1, 2]
    assert [cells.argmax() for cells in np.stack(list(found.cells.values()), axis=1)] == [1, 0, 0]
    assert {cells.dtype for cells in found.cells.values()} == {np.dtype(np.float32)}
