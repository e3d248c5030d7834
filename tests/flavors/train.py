"""Train one small model of a framework, log it to an MLflow store and register it: ``train.py FOLDER FLAVOR``.

It leaves ``train.parquet`` beside the store, the data a reference is built from. It ends with 77 and the reason where
the framework is not installed.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

NOT_INSTALLED = 77
ROWS = 400

rng = np.random.default_rng(410)
FRAME = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=["a", "b", "c"])
TARGET = (FRAME.a - 2 * FRAME.b + rng.normal(scale=0.1, size=ROWS)).to_numpy()
FRAME32 = FRAME.astype(np.float32)  # MLflow casts a frame to no tensor's type
TENSOR = FRAME32.to_numpy()
UNPINNED: dict[str, Any] = {"pip_requirements": []}


def sklearn() -> pd.DataFrame:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TARGET > 0)
    signature = infer_signature(FRAME, model.predict_proba(FRAME))
    mlflow.sklearn.log_model(
        model,
        name="m",
        signature=signature,
        registered_model_name="sklearn",
        pyfunc_predict_fn="predict_proba",
        **UNPINNED,
    )
    return FRAME


def xgboost() -> pd.DataFrame:
    import xgboost

    model = xgboost.train({"max_depth": 3, "seed": 1}, xgboost.DMatrix(FRAME, TARGET), 10)
    signature = infer_signature(FRAME, model.predict(xgboost.DMatrix(FRAME)))
    mlflow.xgboost.log_model(model, name="m", signature=signature, registered_model_name="xgboost", **UNPINNED)
    return FRAME


def lightgbm() -> pd.DataFrame:
    import lightgbm

    model = lightgbm.train({"verbose": -1, "seed": 1}, lightgbm.Dataset(FRAME, TARGET), 10)
    signature = infer_signature(FRAME, model.predict(FRAME))
    mlflow.lightgbm.log_model(model, name="m", signature=signature, registered_model_name="lightgbm", **UNPINNED)
    return FRAME


def onnx() -> pd.DataFrame:
    import onnxruntime
    from skl2onnx import to_onnx
    from sklearn.linear_model import LinearRegression

    model = to_onnx(LinearRegression().fit(TENSOR, TARGET), TENSOR[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (name,) = (output.name for output in session.get_outputs())
    answers = session.run(None, {session.get_inputs()[0].name: TENSOR})[0]
    signature = infer_signature(TENSOR, {name: answers})
    mlflow.onnx.log_model(model, name="m", signature=signature, registered_model_name="onnx", **UNPINNED)
    return FRAME32


def pytorch() -> pd.DataFrame:
    import torch

    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    inputs, target = torch.from_numpy(TENSOR), torch.from_numpy(np.stack([TARGET, -TARGET], 1).astype(np.float32))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(inputs), target).backward()
        optimizer.step()
    signature = infer_signature(TENSOR, model(inputs).detach().numpy())
    mlflow.pytorch.log_model(
        model, name="m", signature=signature, registered_model_name="pytorch", serialization_format="pickle", **UNPINNED
    )
    return FRAME32


def keras() -> pd.DataFrame:
    import keras
    import tensorflow  # noqa: F401 - the backend; without it MLflow cannot log the model

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(TENSOR, TARGET, epochs=2, verbose=0)
    signature = infer_signature(TENSOR, model.predict(TENSOR, verbose=0))
    mlflow.tensorflow.log_model(model, name="m", signature=signature, registered_model_name="keras", **UNPINNED)
    return FRAME32


class Scaled(mlflow.pyfunc.PythonModel):
    """The sum of a row, times a parameter."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        return model_input.sum(axis=1).to_numpy() * (params or {})["scale"]


def params() -> pd.DataFrame:
    specs = ParamSchema([ParamSpec("scale", "double", 2.0)])
    signature = infer_signature(FRAME, TARGET)
    signature.params = specs
    mlflow.pyfunc.log_model(
        name="m", python_model=Scaled(), signature=signature, registered_model_name="params", **UNPINNED
    )
    return FRAME


class Squares(mlflow.pyfunc.PythonModel):
    """The sums of the rows of 2 x 3 tensors."""

    def predict(self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None) -> Any:
        return model_input.sum(axis=2)


def tensor() -> pd.DataFrame:
    signature = mlflow.models.ModelSignature(
        Schema([TensorSpec(np.dtype("float64"), (-1, 2, 3))]), Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
    )
    mlflow.pyfunc.log_model(
        name="m", python_model=Squares(), signature=signature, registered_model_name="tensor", **UNPINNED
    )
    # The form in which MLflow takes tensors from a frame: one column, each cell a tensor's elements in one list.
    return pd.DataFrame({"tensor": FRAME.to_numpy().reshape(-1, 6).tolist()})


FLAVORS: dict[str, Callable[[], pd.DataFrame]] = {
    train.__name__: train for train in (sklearn, xgboost, lightgbm, onnx, pytorch, keras, params, tensor)
}


def main(folder: Path, flavor: str) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("flavors", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("flavors")
    try:
        data = FLAVORS[flavor]()
    except ImportError as error:
        print(f"{flavor} is not installed: {error}", file=sys.stderr)
        sys.exit(NOT_INSTALLED)
    data.to_parquet(folder / "train.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
