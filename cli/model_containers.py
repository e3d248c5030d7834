"""What a platform says to a model's container, where nobody types flags: Amazon SageMaker and Azure Machine Learning.

SageMaker starts ``IMAGE serve``, lays the model into ``/opt/ml/model`` and asks ``/ping`` and ``/invocations`` of port
8080. Azure ML names the model's folder in ``AZUREML_MODEL_DIR`` (or lays it below ``AML_APP_ROOT``) and asks the routes
that its deployment configures, by default those of its own server: ``/score`` and ``/`` on port 5001.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from driftline.store.errors import ConfigurationError

_SAGEMAKER_MODEL = "/opt/ml/model"
_AZURE_MODELS = "azureml-models"
_DEPTHS = ("MLmodel", "*/MLmodel", "*/*/MLmodel", "*/*/*/MLmodel")
_ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - the platform asks from outside of the container


@dataclass(frozen=True, slots=True)
class ContainerOrder:
    """What takes the place of flags that were not typed; None and an empty text say nothing."""

    model_uri: str
    port: int
    aliases: str = ""
    workers: int | None = None
    timeout: int | None = None
    host: str = _ALL_INTERFACES


def container_order(environ: Mapping[str, str], sagemaker_model: str = _SAGEMAKER_MODEL) -> ContainerOrder | None:
    """Return what the platform says, None where this is no container of one.

    Raises:
        ConfigurationError: there is a platform, and no model or several, or a number that is none.
    """
    folder = Path(environ.get("SM_MODEL_DIR", sagemaker_model))
    if (folder / "MLmodel").is_file():
        return ContainerOrder(
            str(folder),
            _number(environ, "SAGEMAKER_BIND_TO_PORT") or 8080,
            workers=_number(environ, "SAGEMAKER_MODEL_SERVER_WORKERS"),
            timeout=_number(environ, "SAGEMAKER_MODEL_SERVER_TIMEOUT"),
        )
    named = environ.get("AZUREML_MODEL_DIR") or (
        f"{environ['AML_APP_ROOT']}/{_AZURE_MODELS}" if environ.get("AML_APP_ROOT") else ""
    )
    return ContainerOrder(_only_model(Path(named)), 5001, "/score=/invocations,/=/ping") if named else None


def _only_model(folder: Path) -> str:
    for depth in _DEPTHS:
        found = sorted(folder.glob(depth))
        if len(found) == 1:
            return str(found[0].parent)
        if found:
            raise ConfigurationError(f"{folder} holds {len(found)} models: name one with `-m {found[0].parent}`")
    raise ConfigurationError(f"{folder} holds no MLflow model (no file MLmodel): name one with `-m`")


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if text and not text.isdecimal():
        raise ConfigurationError(f"{name} should be a whole number, found {text!r}: correct it")
    return int(text) if text else None
