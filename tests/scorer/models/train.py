"""Fill an MLflow store with the models of these tests: ``train.py FOLDER``."""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("tests", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("tests")
    ids = {"linear": _linear(), "actor": _from_code("actor"), "typed": _from_code("typed", _typed_signature())}
    (folder / "models.json").write_text(json.dumps(ids))


def _linear() -> dict[str, str]:
    rng = np.random.default_rng(20)
    data = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"])
    model = LogisticRegression().fit(data, data.a > data.b)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            model,
            name="linear",
            signature=infer_signature(data, model.predict(data)),
            registered_model_name="linear",
            pip_requirements=[],
        )
        mlflow.sklearn.log_model(model, name="second", registered_model_name="linear", pip_requirements=[])
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("linear", "champion", 1)
    client.transition_model_version_stage("linear", 1, "Production")
    return {"run_id": run.info.run_id, "model_id": info.model_id}


def _from_code(name: str, signature: ModelSignature | None = None) -> dict[str, str]:
    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(HERE / f"{name}.py"),
            signature=signature,
            registered_model_name=name,
            pip_requirements=[],
        )
    return {"run_id": run.info.run_id, "model_id": info.model_id}


def _typed_signature() -> ModelSignature:
    types = {
        "d": DataType.double, "f": DataType.float, "l": DataType.long, "i": DataType.integer,
        "b": DataType.boolean, "s": DataType.string, "when": DataType.datetime,
    }  # fmt: skip
    inputs = Schema([ColSpec(type_, name, required=name != "s") for name, type_ in types.items()])
    params = ParamSchema(
        [
            ParamSpec("n", DataType.long, 1),
            ParamSpec("x", DataType.double, 0.5),
            ParamSpec("word", DataType.string, "none"),
        ]
    )
    return ModelSignature(inputs=inputs, params=params)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
