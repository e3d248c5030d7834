"""Fill an MLflow store with versions of one model: ``train_scaled.py FOLDER [SERVER]``.

With a server the models go through it, and only those that can serve.

Version n multiplies by n; some cannot serve. The names that ``versions.json`` gives them say how.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature

HERE = Path(__file__).parent
EXAMPLE = pd.DataFrame({"x": [1.0, 2.0]})
FAULTS = {
    "first": "", "second": "", "torn": "load", "unwilling": "predict", "leaving": "leave", "deadly": "die",
    "lingering": "linger", "gone": "", "slow": "slow", "exiting": "exit",
}  # fmt: skip


def main(folder: Path, server: str | None = None) -> None:
    os.environ["SCALED_IS_LOGGED"] = "yes"
    mlflow.set_tracking_uri(server or f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("tests", artifact_location=None if server else (folder / "artifacts").as_uri())
    mlflow.set_experiment("tests")
    wanted = ["first", "second"] if server else FAULTS
    versions = {name: _version(number, FAULTS[name]) for number, name in enumerate(wanted, 1)}
    versions["other"] = _log({"factor": float(len(versions) + 1)}, EXAMPLE.assign(y=["a", "b"]))
    mlflow.MlflowClient().set_registered_model_alias("scaled", "champion", versions["first"])
    (folder / "versions.json").write_text(json.dumps(versions))


def _version(number: int, fault: str) -> str:
    return _log({"factor": float(number), "fault": fault}, EXAMPLE)


def _log(config: dict[str, Any], example: pd.DataFrame) -> str:
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="scaled",
            python_model=str(HERE / "scaled.py"),
            model_config=config,
            signature=infer_signature(example, pd.Series([1.0, 2.0])),
            registered_model_name="scaled",
            pip_requirements=[],
        )
    return str(info.registered_model_version)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
