"""Models read through MLflow without leaving files: what MLflow fetches it never removes.

Invariants
----------
- What was fetched for a model, which may read its files as it predicts, goes with it, at the latest with the process.
- Files that lie on this machine are read where they are.
"""

import tempfile
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo


def model_info(uri: str) -> "ModelInfo":
    """Return what the MLmodel at ``uri`` says.

    Raises:
        Exception: whatever MLflow and its stores raise.
    """
    from mlflow.models import Model, get_model_info

    if _lies_here(uri):
        return get_model_info(uri)
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        return Model.load(_repository(uri).download_artifacts("MLmodel", dst_path=folder)).get_model_info()


def load_model(uri: str) -> Any:
    """Return the model at ``uri``, loaded as a Python function.

    Raises:
        Exception: whatever MLflow, its stores and the model raise.
    """
    import mlflow

    if _lies_here(uri):
        return mlflow.pyfunc.load_model(uri)
    files = tempfile.TemporaryDirectory(prefix="driftline-", ignore_cleanup_errors=True)
    try:
        model = mlflow.pyfunc.load_model(uri, dst_path=files.name)
    except BaseException:
        files.cleanup()
        raise
    weakref.finalize(model, files.cleanup)
    return model


def _repository(uri: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri)


def _lies_here(uri: str) -> bool:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    repository = _repository(uri)
    while (inner := getattr(repository, "repo", None)) is not None:  # what ``models:/`` and ``runs:/`` stand for
        repository = inner
    return isinstance(repository, LocalArtifactRepository)
