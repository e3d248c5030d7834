"""What a model says of its environment: the Python it asks for and the lines of its requirements."""

import re
from importlib.metadata import metadata
from pathlib import Path

from driftline.store.errors import EnvironmentNotBuilt

REQUIREMENTS = "requirements.txt"
_MLFLOW = re.compile(r"mlflow(-skinny|-tracing)?\b", re.IGNORECASE)


def python_of(model: Path, remedy: str) -> str:
    """Return the version of Python that the model asks for.

    Args:
        remedy: what may be done instead of logging the model again, for the message.

    Raises:
        EnvironmentNotBuilt: driftline does not run on it.
    """
    from mlflow.utils.virtualenv import _get_python_env
    from packaging.specifiers import SpecifierSet

    python = str(_get_python_env(model).python)
    ours = metadata("driftline")["Requires-Python"]
    if python not in SpecifierSet(ours):
        raise EnvironmentNotBuilt(
            f"the model asks for Python {python} and driftline for {ours}: log the model again with such a Python, "
            f"or {remedy}"
        )
    return python


def requirement_lines(model: Path, without_mlflow: bool = False) -> list[str]:
    """Return the lines of the model's requirements, none where it has no such file; on demand without MLflow's own."""
    found = model / REQUIREMENTS
    lines = found.read_text(encoding="utf-8").splitlines() if found.exists() else []
    return [line for line in lines if not (without_mlflow and _MLFLOW.match(line))]
