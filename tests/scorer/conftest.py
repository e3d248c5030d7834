"""Tiny models in a local MLflow store, and servers over them that the tests of this room share."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from guarded_servers import MAX_BODY_BYTES, GuardedServer, guarded_server
from scaled_models import ScaledModels
from scoring_servers import DriftlineServer, ScoringServer, driftline_server, mlflow_server, running
from trained_models import train

TIMEOUT_SECONDS = "1"  # of the models that sleep


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an MLflow store with the models linear, actor and typed."""
    return train(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def model_ids(models: Path) -> dict[str, dict[str, str]]:
    """Run id and model id by name."""
    return json.loads((models / "models.json").read_text())


@pytest.fixture(scope="session")
def pairs(models: Path) -> Iterator[dict[str, tuple[ScoringServer, DriftlineServer]]]:
    """By model: MLflow's server and ours, started at the same time over the same files."""
    found: dict[str, tuple[ScoringServer, DriftlineServer]] = {}
    for name in ("linear", "actor", "typed"):
        flags = ("-t", TIMEOUT_SECONDS) if name == "actor" else ()
        uri = f"models:/{name}/1"
        log_imports = {"PYTHONPROFILEIMPORTTIME": "1"} if name == "actor" else {}
        found[name] = (
            mlflow_server(models, uri, f"mlflow-{name}", *flags),
            driftline_server(models, uri, f"driftline-{name}", *flags, **log_imports),
        )
    started = [server for pair in found.values() for server in pair]
    for server in started:
        server.start()
    try:
        for server in started:
            server.wait_ready()
        yield found
    finally:
        for server in started:
            server.process.terminate()
        for server in started:
            server.process.wait(60)


@pytest.fixture
def start(models: Path) -> Iterator[Callable[..., DriftlineServer]]:
    """Start one of our servers: ``start(model, name, *flags, **variables)``; ended after the test."""
    with ExitStack() as started:

        def start_one(model_uri: str, name: str, *flags: str, **variables: str) -> DriftlineServer:
            return started.enter_context(running(driftline_server(models, model_uri, name, *flags, **variables)))

        yield start_one


@pytest.fixture(scope="session")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> ScaledModels:
    """A registry of its own, whose aliases tests move."""
    return ScaledModels(tmp_path_factory.mktemp("scaled"))


@pytest.fixture(scope="session")
def guarded(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    """A server with everything shut that can be, over uvicorn's own parser."""
    with running(guarded_server(models, tmp_path_factory.mktemp("guarded"), UVICORN_HTTP="h11")) as server:
        yield server


@pytest.fixture(scope="session")
def limited(models: Path) -> Iterator[DriftlineServer]:
    """A server with a small body limit and nothing else, over the faster parser."""
    flags = ("--max-body-bytes", str(MAX_BODY_BYTES))
    with running(driftline_server(models, "models:/linear/1", "limited", *flags, UVICORN_HTTP="httptools")) as server:
        yield server
