"""What MLflow fetches for us does not stay."""

import gc
import tempfile
from pathlib import Path

import mlflow
import pytest
from sklearn.linear_model import LinearRegression

from driftline.monitor.model_files import load_model, model_info


def test_what_was_fetched_for_a_model_goes_with_it(
    tracking_server: mlflow.MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.set_experiment("kept by the server")
    with mlflow.start_run() as run:
        fitted = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
        logged = mlflow.sklearn.log_model(fitted, name="model", pip_requirements=[])
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for uri in (logged.model_uri, f"runs:/{run.info.run_id}/model"):
        assert model_info(uri).model_id == logged.model_id
        assert list(temporary.iterdir()) == []
        model = load_model(uri)
        assert len(list(temporary.iterdir())) == 1
        assert model.predict([[3.0]]) == pytest.approx(3.0)
        del model
        gc.collect()
        assert list(temporary.iterdir()) == []
    with pytest.raises(Exception, match="nothing"):
        load_model(f"runs:/{run.info.run_id}/nothing")
    assert list(temporary.iterdir()) == []
