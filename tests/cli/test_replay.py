"""`driftline replay`, as a user and a pipeline type it."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
from monitor_rig import TinyModel, rows
from replay_rig import answer, register
from sklearn.linear_model import LinearRegression

from driftline.monitor.jobs.job import JobContext


def driftline(context: JobContext, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftline.cli", "replay", *arguments, "--home", str(context.home)]
    command += ["--store", context.engine.url.render_as_string(hide_password=False)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=context.home, timeout=200)


def test_a_pipeline_gets_json_an_exit_code_and_a_run_and_no_values_that_it_did_not_ask_for(
    sqlite_context: JobContext, tiny: TinyModel, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    estimator = mlflow.sklearn.load_model(tiny.uri)
    register("tiny", LinearRegression().fit(tiny.training, tiny.training["age"]), tiny.training)
    answer(sqlite_context, tiny.built.identity, estimator, rows(120, seed=2))
    page = tmp_path / "replay.html"
    found = driftline(
        sqlite_context, "--model", "models:/tiny/2", "--of", "tiny/1", "--since", "1h", "--json", "--no-check",
        "--fail-above", "5%", "--html", str(page), "--show-values",
    )  # fmt: skip
    assert found.returncode == 3, found.stderr
    content = json.loads(found.stdout)
    assert content["disagreement"]["share"] > 0.05
    assert set(content["most_different"][0]["inputs"]) == {"age", "income", "tenure"}
    assert content["verdict"] in page.read_text()
    run_id = tracking.get_model_version("tiny", "2").tags["driftline.replay.run"]
    assert run_id in found.stderr
    logged = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/replay.json", dst_path=str(tmp_path)))
    assert "inputs" not in json.loads(logged.read_text())["most_different"][0]
    same = driftline(sqlite_context, "--model", tiny.uri, "--of", "tiny/1", "--no-mlflow", "--fail-above", "0")
    assert same.returncode == 0, same.stderr
    assert same.stdout.startswith("version 1 answers 0 % of 120 rows otherwise")
    wrong = driftline(sqlite_context, "--model", tiny.uri, "--fail-above", "7")
    assert (wrong.returncode, "no share like 0.05 or 5%" in wrong.stderr) == (2, True)
