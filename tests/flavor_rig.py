"""A framework's model trained, logged, referenced, served by both servers, asked, and its store settled."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from flavor_corpus import Case, corpus
from scoring_servers import BIN, Answer, driftline_server, environment, mlflow_server

TRAIN = Path(__file__).parent / "flavors" / "train.py"
NOT_INSTALLED = 77
_START_SECONDS = 240  # TensorFlow, read from a cold disk, twice


@dataclass(frozen=True)
class Served:
    """What is left when both servers of a model have answered the same requests and ended.

    Attributes:
        answers: by case, MLflow's answer and ours.
        store: the SQLite file; settled, nothing is in the spool any more.
        variables: for further commands on it.
    """

    name: str
    answers: list[tuple[Case, Answer, Answer]]
    store: Path
    variables: dict[str, str]

    def driftline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(self.variables, str(BIN / "driftline"), *arguments)


def serve_and_ask(name: str, folder: Path) -> Served:
    """Go the whole way with one framework's model; skip where the framework is not installed."""
    store = folder / "store.sqlite"
    variables = environment(
        folder, DRIFTLINE_STORE=f"sqlite:///{store}", DRIFTLINE_HOME=str(folder / "home"), TF_CPP_MIN_LOG_LEVEL="3"
    )
    trained = _run(variables, sys.executable, str(TRAIN), str(folder), name)
    if trained.returncode == NOT_INSTALLED:
        pytest.skip(trained.stderr.splitlines()[-1])
    assert trained.returncode == 0, trained.stderr
    referenced = _run(
        variables, str(BIN / "driftline"), "reference", "build", f"models:/{name}/1", "--data", "train.parquet"
    )
    assert referenced.returncode == 0, referenced.stderr
    return Served(name, _answers(folder, name, variables), store, variables)


def _answers(folder: Path, name: str, variables: dict[str, str]) -> list[tuple[Case, Answer, Answer]]:
    theirs = mlflow_server(folder, f"models:/{name}/1", "mlflow")
    ours = driftline_server(folder, f"models:/{name}/1", "driftline", "--store", variables["DRIFTLINE_STORE"],
                            DRIFTLINE_LOADER_DRAIN_SECONDS="60")  # fmt: skip
    theirs.start()
    ours.start()
    try:
        theirs.wait_ready(_START_SECONDS)
        ours.wait_ready(_START_SECONDS)
        return [(case, *(server.ask("POST", "/invocations", case.body, case.headers) for server in (theirs, ours)))
                for case in corpus(name)]  # fmt: skip
    finally:
        for server in (theirs, ours):
            if server.process.poll() is None:
                server.stop(90)


def _run(variables: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    tracking = variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    return subprocess.run(
        command, env=variables, cwd=Path(tracking).parent, check=False, capture_output=True, text=True, timeout=600
    )


def predictions(answer: Answer) -> list[list[float]]:
    """Return the cells of each predicted row: a number is one, a list its elements, a table its columns."""
    found = json.loads(answer.body)["predictions"]
    if isinstance(found, dict):
        (found,) = found.values()
    return [list(row) if isinstance(row, list) else [row] for row in found]
