"""An image by `driftline build-image` is built, and serves with nothing but a volume to write to."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from container_stack import ENGINE, engine
from trained_models import train

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

NAME, CONTAINER, VOLUME = "driftline-containers-linear", "driftline-containers-linear", "driftline-containers-home"
BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2], [3, -4]]}}'
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")


def driftline(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", **variables}
    command = [str(Path(sys.executable).parent / "driftline"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the models of the scorer's tests."""
    return train(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def image(models: Path) -> str:
    conf = {"CONTAINERS_CONF": os.environ["BUILD_CONTAINERS_CONF"]} if ENGINE == "podman" else {}
    base = ("--base-image", os.environ["PYTHON_IMAGE"])
    done = driftline(models, "build-image", "models:/linear/1", "--name", NAME, "--engine", ENGINE, *base, **conf)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"{NAME} serves linear, version 1" in done.stdout
    return NAME


@pytest.fixture
def port(image: str) -> Iterator[int]:
    """The port of a container that serves, with no more than a volume and a file system in memory to write to."""
    port = servers.free_port()
    engine(
        "run", "--detach", "--name", CONTAINER, *HARDENED, "--volume", f"{VOLUME}:/var/lib/driftline",
        "--publish", f"127.0.0.1:{port}:8080", image,
    )  # fmt: skip
    try:
        servers.wait_until(lambda: answers(port), 120, 0.5, "the container's /ping")
        yield port
    finally:
        engine("rm", "--force", "--volumes", CONTAINER)
        engine("volume", "rm", "--force", VOLUME)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def test_it_answers_and_keeps_under_the_registrys_name_and_ends_by_a_signal_with_nothing_left_behind(port: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", BODY, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["x-driftline-model-version"] == "1"
        assert len(json.loads(answer.read())["predictions"]) == 2
    deadline = time.monotonic() + 30
    while json.loads(engine("exec", CONTAINER, "driftline", "store", "status", "--json"))["spooled"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    query = "select name, version from model_version"
    program = f"import sqlite3; print(*sqlite3.connect('driftline.sqlite').execute('{query}'))"
    assert engine("exec", CONTAINER, "python", "-c", program).strip() == "('linear', '1')"
    assert "mlflow==" in engine("exec", CONTAINER, "cat", "/opt/driftline/pins.txt")
    engine("stop", "--time", "30", CONTAINER)
    assert json.loads(engine("inspect", CONTAINER))[0]["State"]["ExitCode"] == 0
