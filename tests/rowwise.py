"""The model ``rowwise`` and what it answers."""

import json
import subprocess
import sys
from pathlib import Path

_SAVE = """
import sys, mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
signature = ModelSignature(inputs=Schema([ColSpec("double", "x"), ColSpec("string", "act")]))
mlflow.pyfunc.save_model(sys.argv[2], python_model=sys.argv[1], signature=signature, pip_requirements=[])
"""


def save_rowwise(folder: Path) -> Path:
    """Save the model below ``folder`` and return its own folder."""
    code, model = Path(__file__).parent / "scorer" / "models" / "rowwise.py", folder / "rowwise"
    subprocess.run([sys.executable, "-c", _SAVE, code, model], check=True, capture_output=True, cwd=folder)
    return model


def request(*xs: float, act: str = "") -> bytes:
    """Return a request for these rows; ``act`` goes with the first."""
    data = [[x, act if i == 0 else ""] for i, x in enumerate(xs)]
    return json.dumps({"dataframe_split": {"columns": ["x", "act"], "data": data}}).encode()


def answer(*xs: float) -> bytes:
    return json.dumps({"predictions": [x * 3 + 1 for x in xs]}).encode()
