"""`driftline replay`, as a user and a pipeline type it."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import servers
from click.testing import CliRunner, Result
from mlflow_server_rig import mlflow_server
from monitor_rig import TinyModel, rows
from replay_rig import answer, register
from sklearn.linear_model import LinearRegression

from driftline.cli import replay as command
from driftline.cli.main import root
from driftline.monitor.jobs.job import JobContext
from driftline.store.errors import DriftlineError

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
    assert [line for line in found.stderr.splitlines() if line.endswith(" ...")] == [
        "loading models:/tiny/2 ...",
        "asking it about 120 rows ...",
        "timing it ...",
        "comparing ...",
        "logging to MLflow ...",
    ]
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


def test_a_window_without_rows_is_one_line_that_says_what_to_choose(
    run: Callable[..., Result], sqlite_context: JobContext, tiny: TinyModel
) -> None:
    estimator = mlflow.sklearn.load_model(tiny.uri)
    answer(sqlite_context, tiny.built.identity, estimator, rows(30, seed=2))
    for narrower in (["--since", "2d", "--until", "1d"], ["--labelled"], ["--arm", "shadow"]):
        found = run("--model", tiny.uri, *narrower)
        assert found.stdout == ""
        said = line(found)
        assert said.startswith("tiny/1 has no ")
        assert said.endswith("choose a wider --since, another --arm, or another version by --of")
    unknown = run("--model", tiny.uri, "--of", "unheard-of")
    assert line(unknown).startswith("the store holds no model unheard-of (it holds tiny/1): ")


def test_a_replay_outlives_the_mlflow_that_it_asked_and_is_logged_by_the_command_that_it_names(
    run: Callable[..., Result],
    sqlite_context: JobContext,
    tiny: TinyModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    answer(sqlite_context, tiny.built.identity, mlflow.sklearn.load_model(tiny.uri), rows(90, seed=2))
    port, page = servers.free_port(), tmp_path / "replay.html"
    mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")  # `tracking` sets it back
    verdict = "version 1 answers 0 % of 90 rows otherwise"
    with mlflow_server(tmp_path, port) as server, monkeypatch.context() as patched:
        patched.setattr(command, "_bar", ended_by_a_kill_of(server))
        lost = run("--model", tiny.uri, "--html", page)
    assert lost.stdout.startswith(verdict)
    assert f"not compared with its answers to its training data: no MLflow answers at {link(port)}" in lost.stdout
    assert verdict in page.read_text()
    said, advice = line(lost).split("; the replay is told but not logged: log it by the same command with ")
    assert said.startswith(f"no MLflow answers at {link(port)}")

    down = run("--model", tiny.uri)
    assert (down.stdout, line(down)) == ("", said)

    with mlflow_server(tmp_path, port):
        later = run("--model", tiny.uri, *advice.split())
        assert later.exit_code == 0, later.output
        tags = mlflow.MlflowClient().get_model_version("tiny", "1").tags
    assert tags["driftline.replay"].startswith(verdict)
    assert f"MLflow run {tags['driftline.replay.run']} in the experiment driftline/tiny" in later.stdout


def line(found: Result) -> str:
    """Return the one line that an expected error is told by."""
    assert isinstance(found.exception, DriftlineError), found.output
    assert len(str(found.exception).splitlines()) == 1
    return str(found.exception)


def link(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def ended_by_a_kill_of(server: subprocess.Popen[bytes]) -> Callable[..., object]:
    """Return a progress bar that kills a server and its workers when all rows are answered."""

    @contextmanager
    def bar(length: int) -> Iterator[Callable[[int], object]]:
        with shown(length) as step:
            yield step
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)

    shown = command._bar
    return bar
