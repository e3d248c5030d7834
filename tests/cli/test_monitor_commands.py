"""`driftline reference`, `drift`, `report` and `monitor --once`, as a user types them."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import servers
from click.testing import CliRunner, Result
from mlflow.models import infer_signature
from monitor_rig import TinyModel, rows, save_reference, send
from sklearn.linear_model import LinearRegression
from sqlalchemy import update

from driftline.cli.main import root
from driftline.cli.since import Since
from driftline.monitor import log_reference
from driftline.monitor.jobs.job import JobContext
from driftline.monitor.mlflow_link import MlflowLink
from driftline.monitor.training import reference
from driftline.scorer import model_source
from driftline.store import schema
from driftline.store.errors import DriftlineError
from driftline.store.records import now_us

pytestmark = pytest.mark.thorough

Run = Callable[..., Result]
JOBS = ["reference", "drift", "quality", "multivariate", "performance", "report", "labels", "rollup", "retention"]


@pytest.fixture
def run(sqlite_context: JobContext, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command line on the test's store."""
    monkeypatch.setenv("DRIFTLINE_HOME", str(sqlite_context.home))
    monkeypatch.setenv("DRIFTLINE_STORE", str(sqlite_context.engine.url))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(root, [str(a) for a in arguments])

    return invoke


def error_of(result: Result) -> str:
    """Return the one line that the user sees instead of a traceback."""
    assert isinstance(result.exception, DriftlineError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_reference_build_reads_a_file_and_says_what_it_did(run: Run, tiny: TinyModel, tmp_path: Path) -> None:
    tiny.training.to_parquet(tmp_path / "train.parquet")
    built = run("reference", "build", tiny.uri, "--data", tmp_path / "train.parquet")
    assert built.exit_code == 0, built.output
    for said in (
        f"3000 rows from {tmp_path}/train.parquet",
        "4 columns, outputs the model's answers to the 3000 rows",
        "saved to the store",
        f"logged to MLflow: runs:/{tiny.run_id}/driftline/{tiny.model_id}",
    ):
        assert said in built.output
    shown = run("reference", "show", "tiny")
    assert "tiny/1: 3000 rows" in shown.output
    assert "income" in shown.output
    assert "performance not known: it was built without --labels COLUMN, or " in shown.output


def test_reference_build_errors_are_one_line_with_the_next_step(run: Run, tiny: TinyModel, tmp_path: Path) -> None:
    assert "no file" in error_of(run("reference", "build", tiny.uri, "--data", tmp_path / "absent.parquet"))
    assert "MLFLOW_TRACKING_URI" in error_of(run("reference", "build", "models:/nope/1"))
    assert "--data train.parquet" in error_of(run("reference", "build", tiny.uri))
    tiny.training[["age"]].to_csv(tmp_path / "less.csv", index=False)
    assert "income, tenure" in error_of(run("reference", "build", tiny.uri, "--data", tmp_path / "less.csv"))


def test_a_model_that_no_run_logged_gets_its_reference_in_the_store_and_says_what_else_to_do(
    run: Run, sqlite_context: JobContext, tmp_path: Path
) -> None:
    training = rows(200, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            LinearRegression().fit(training, training["age"]), tmp_path / "model",
            signature=infer_signature(training, training["age"]), pip_requirements=[],
        )  # fmt: skip
    training.to_parquet(tmp_path / "train.parquet")
    built = run("reference", "build", tmp_path / "model", "--data", tmp_path / "train.parquet")
    assert built.exit_code == 0, built.output
    assert "not logged to MLflow: model was logged in no run" in built.output
    for step in ("`with mlflow.start_run():`", f"`driftline reference build {tmp_path}/model --data train.parquet`"):
        assert step in built.output
    with pytest.raises(reference.NoRun, match="log it inside"):
        log_reference(str(tmp_path / "model"), training)


@pytest.mark.parametrize("command", [["reference", "build", "models:/tiny/1"], ["report", "tiny", "--to-mlflow"]])
def test_an_mlflow_that_does_not_listen_is_one_line(run: Run, sqlite_context: JobContext, command: list[str]) -> None:
    mlflow.set_tracking_uri(f"http://me:secret@127.0.0.1:{servers.free_port()}")
    said = error_of(run(*command))
    assert said.startswith("no MLflow answers at http://127.0.0.1:")
    assert said.endswith("start it or correct MLFLOW_TRACKING_URI")


def test_drift_prints_the_table_with_the_shifted_column(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2, income=1.0))
    printed = run("drift", "tiny", "--since", "1h")
    assert printed.exit_code == 0, printed.output
    lines = {line.split()[0]: line for line in printed.output.split("\n\n")[0].splitlines()}
    assert lines["column"].split() == ["column", "statistic", "importance", "score", "threshold", "rows", "verdict"]
    assert "600" in lines["income"]
    assert "66." in lines["income"]  # percent: the model is age - 2 * income
    assert "  drift: " in lines["income"]
    assert lines["age"].endswith("no drift")
    below = printed.output.splitlines()[printed.output.splitlines().index(lines["income"]) + 1]
    assert below.startswith("    ")
    assert below.endswith(" % in training")
    assert run("drift", "models:/tiny/1", "--fail-on-drift").exit_code == 3


def test_drift_as_json_holds_every_column(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2))
    found = json.loads(run("drift", "tiny/1", "--json").stdout)
    assert {c["column"]: c["verdict"] for c in found["columns"] if c["side"] == "input"} == dict.fromkeys(
        ["age", "income", "tenure"], "no drift"
    )
    assert found["window"]["rows"] == 600
    assert {c["column"] for c in found["columns"] if c["side"] == "output"} == {"prediction"}
    assert all((c["changed"] is not None) == (c["verdict"] == "drift") for c in found["columns"])


def test_drift_fetches_a_reference_that_only_mlflow_has(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    reference.publish(sqlite_context.link, tiny.built)
    send(sqlite_context, tiny, rows(600, seed=2, income=1.0))
    assert "600 rows" in run("drift", "tiny").output


def test_drift_errors_are_one_line_with_the_next_step(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    assert "it holds none yet" in error_of(run("drift", "tiny"))
    send(sqlite_context, tiny, rows(50, seed=2))
    assert "it holds tiny/1" in error_of(run("drift", "other"))
    assert "driftline reference build models:/tiny/1" in error_of(run("drift", "tiny"))
    save_reference(sqlite_context, tiny)
    with sqlite_context.engine.begin() as connection:
        connection.execute(update(schema.reference).values(content=b"damaged"))
    assert "driftline reference build" in error_of(run("drift", "tiny"))


def test_report_writes_page_json_folder_and_run(
    run: Run, sqlite_context: JobContext, tiny: TinyModel, tmp_path: Path
) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2, income=1.0))
    wanted = ("--html", tmp_path / "report.html", "--json", tmp_path / "report.json", "--folder", tmp_path / "all")
    written = run("report", "tiny", "--since", "1h", *wanted, "--to-mlflow")
    assert written.exit_code == 0, written.output
    assert "tiny/1: 2 of 4 judged columns drifted, most of all income." in written.stdout
    assert "comparing 600 rows with 1,000 in Evidently ..." in written.stderr
    assert "drifted, most of all income" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["window"]["rows"] == 600
    assert (tmp_path / "all" / "evidently.html").stat().st_size > 1_000_000
    (found,) = mlflow.search_runs(experiment_names=["driftline/tiny"], output_format="list")
    assert found.info.run_id in written.output


def test_report_says_what_it_leaves_out_and_errors_are_one_line(
    run: Run, sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    empty = run("report", "tiny", "--since", "1h")
    assert empty.exit_code == 0, empty.output
    assert "left out: everything about the window: it holds no rows" in empty.stdout
    assert "--html" in error_of(run("report", "tiny", "--html", "/nowhere/report.html"))


def test_monitor_once_prints_a_line_per_job_and_succeeds(run: Run, sqlite_context: JobContext, tiny: TinyModel) -> None:
    save_reference(sqlite_context, tiny)
    send(sqlite_context, tiny, rows(600, seed=2, income=1.0))
    done = run("monitor", "--once")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == JOBS
    assert "tiny/1: success (600 rows, drift in income" in lines[1]


def test_monitor_once_exits_with_1_when_a_job_failed_and_runs_the_others(
    run: Run, sqlite_context: JobContext, tiny: TinyModel
) -> None:
    save_reference(sqlite_context, tiny)
    with sqlite_context.engine.begin() as connection:
        connection.execute(update(schema.reference).values(content=b"damaged"))
    done = run("monitor", "--once")
    assert done.exit_code == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == JOBS
    assert "error" in done.stdout.splitlines()[1]


def test_a_taken_port_is_one_line(run: Run) -> None:
    port = servers.free_port()
    with servers.socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        done = run("monitor", "--port", port)
    assert "choose another --port" in error_of(done)
    assert done.exception.exit_code == 1, "as of `driftline serve`: nothing that was typed is wrong"


def test_a_host_or_a_port_that_is_none_names_its_flag(run: Run) -> None:
    assert "correct --host" in error_of(run("monitor", "--host", "203.0.113.1"))
    assert "correct --host" in error_of(run("monitor", "--host", "nohost.invalid"))


def test_an_unreachable_store_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_STORE", f"postgresql://driftline:hush@127.0.0.1:{servers.free_port()}/x")
    said = error_of(run("monitor", "--once"))
    assert "does not answer" in said
    assert "hush" not in said


def test_scorer_and_monitor_agree_on_what_a_model_is(tiny: TinyModel, tmp_path: Path) -> None:
    client, link = mlflow.MlflowClient(), MlflowLink()
    client.set_registered_model_alias("tiny", "champion", "1")
    local = mlflow.artifacts.download_artifacts(tiny.uri, dst_path=str(tmp_path / "copy"))
    for uri in (
        tiny.uri, "models:/tiny@champion", "models:/tiny/latest", f"models:/{tiny.model_id}",
        f"runs:/{tiny.run_id}/model", local,
    ):  # fmt: skip
        assert link.resolve(uri) == model_source.resolve(uri).identity


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86_400), ("7d", 604_800), ("90m", 5_400), ("1.5h", 5_400)])
def test_a_span_is_counted_back_from_now(text: str, seconds: float) -> None:
    assert now_us() - Since().convert(text, None, None) == pytest.approx(seconds * 1e6, abs=2e6)


def test_a_moment_without_a_zone_is_utc() -> None:
    assert Since().convert("2026-01-05T06:00:00", None, None) == 1_767_592_800_000_000
    assert Since().convert("2026-01-05T06:00:00Z", None, None) == 1_767_592_800_000_000


def test_what_is_neither_span_nor_moment_is_refused(run: Run) -> None:
    refused = run("drift", "tiny", "--since", "yesterday")
    assert refused.exit_code == 2
    assert "neither a span like 24h" in refused.output
