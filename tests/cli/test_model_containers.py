"""What platforms say to a model's container."""

from pathlib import Path

import pytest

from driftline.cli.model_containers import container_order
from driftline.store.errors import ConfigurationError


def _model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "MLmodel").touch()
    return folder


def test_sagemaker_lays_a_model_down_and_asks_port_8080(tmp_path: Path) -> None:
    model = str(_model(tmp_path / "model"))
    order = container_order({}, model)
    assert order is not None
    assert (order.model_uri, order.host, order.port, order.workers) == (model, "0.0.0.0", 8080, None)
    bound = container_order({"SAGEMAKER_BIND_TO_PORT": "8081", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, model)
    assert bound is not None
    assert (bound.port, bound.workers) == (8081, 2)
    with pytest.raises(ConfigurationError, match="SAGEMAKER_BIND_TO_PORT"):
        container_order({"SAGEMAKER_BIND_TO_PORT": "x"}, model)


@pytest.mark.parametrize("variable", ["AZUREML_MODEL_DIR", "AML_APP_ROOT"])
def test_azure_names_a_folder_and_asks_its_own_routes(tmp_path: Path, variable: str) -> None:
    model = _model(tmp_path / "azureml-models" / "churn" / "3")
    named = tmp_path if variable == "AML_APP_ROOT" else tmp_path / "azureml-models" / "churn"
    order = container_order({variable: str(named)}, "/nowhere")
    assert order is not None
    assert (order.model_uri, order.port, order.aliases) == (str(model), 5001, "/score=/invocations,/=/ping")


def test_no_model_several_and_no_platform_are_told_apart(tmp_path: Path) -> None:
    assert container_order({}, "/nowhere") is None
    with pytest.raises(ConfigurationError, match="no MLflow model"):
        container_order({"AZUREML_MODEL_DIR": str(tmp_path)}, "/nowhere")
    _model(tmp_path / "one")
    _model(tmp_path / "two")
    with pytest.raises(ConfigurationError, match="2 models"):
        container_order({"AZUREML_MODEL_DIR": str(tmp_path)}, "/nowhere")
