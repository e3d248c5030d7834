"""`driftline replay`, as a user and a pipeline type it."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner, Result
from monitor_rig import TinyModel, rows
from replay_rig import answer, register
from sklearn.linear_model import LinearRegression

from driftline.cli.main import root
from driftline.monitor.jobs.job import JobContext

pytestmark = pytest.mark.thorough


@pytest.fixture
def run(sqlite_context: JobContext, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs `driftline replay` on the test's store."""
    monkeypatch.setenv("DRIFTLINE_HOME", str(sqlite_context.home))
    monkeypatch.setenv("DRIFTLINE_STORE", str(sqlite_context.engine.url))
    return lambda *arguments: CliRunner().invoke(root, ["replay", *map(str, arguments)])


def test_a_pipeline_gets_json_an_exit_code_and_a_run_and_no_values_that_it_did_not_ask_for(
    run: Callable[..., Result],
    sqlite_context: JobContext,
    tiny: TinyModel,
    tracking: mlflow.MlflowClient,
    tmp_path: Path,
) -> None:
    estimator = mlflow.sklearn.load_model(tiny.uri)
    register("tiny", LinearRegression().fit(tiny.training, tiny.training["age"]), tiny.training)
    answer(sqlite_context, tiny.built.identity, estimator, rows(120, seed=2))
    page = tmp_path / "replay.html"
    found = run(
        "--model", "models:/tiny/2", "--of", "tiny/1", "--since", "1h", "--json", "--no-check",
        "--fail-above", "5%", "--html", page, "--show-values",
    )  # fmt: skip
    assert found.exit_code == 3, found.output
    content = json.loads(found.stdout)
    assert content["disagreement"]["share"] > 0.05
    assert set(content["most_different"][0]["inputs"]) == {"age", "income", "tenure"}
    assert content["verdict"] in page.read_text()
    shown = [f"<th>{name}</th>" for name in ("prediction then", "prediction now", "age", "income", "tenure")]
    shown += [f"<td>{value:.6g}</td>" for value in content["most_different"][0]["inputs"].values()]
    assert [said for said in shown if said not in page.read_text()] == []
    run_id = tracking.get_model_version("tiny", "2").tags["driftline.replay.run"]
    assert run_id in found.stderr
    logged = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "logged")))
    assert "inputs" not in json.loads((logged / "replay.json").read_text())["most_different"][0]
    page_without = (logged / "replay.html").read_text()
    assert "Rows that differ most" in page_without
    assert [said for said in shown if said in page_without] == []
    same = run("--model", tiny.uri, "--of", "tiny/1", "--no-mlflow", "--fail-above", "0")
    assert same.exit_code == 0, same.output
    assert same.stdout.startswith("version 1 answers 0 % of 120 rows otherwise")
    wrong = run("--model", tiny.uri, "--fail-above", "7")
    assert (wrong.exit_code, "no share like 0.05 or 5%" in wrong.stderr) == (2, True)
