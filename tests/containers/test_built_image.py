"""An image by `driftline build-image` is built, twice the same, and serves with nothing but a volume to write to."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from container_clients import Clients
from container_stack import ENGINE, ROOT, assert_same_image, build, engine
from trained_models import train

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

NAME, AGAIN = "driftline-containers-linear:1", "driftline-containers-linear:again"
CONTAINER, VOLUME = "driftline-containers-linear", "driftline-containers-home"
BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2], [3, -4]]}}'
QUERY = "import sqlite3, sys; [print(*row) for row in sqlite3.connect('driftline.sqlite').execute(sys.argv[1])]"
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")


def driftline(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", **variables}
    command = [str(Path(sys.executable).parent / "driftline"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the models of the scorer's tests."""
    return train(tmp_path_factory.mktemp("models"))


def build_image(models: Path, *arguments: str) -> str:
    """Run the command for the model, with what makes two builds alike, and return what it printed."""
    variables = {"SOURCE_DATE_EPOCH": "0"}
    if ENGINE == "podman":
        variables["CONTAINERS_CONF"] = os.environ["BUILD_CONTAINERS_CONF"]
    pinned = ("--base-image", os.environ["PYTHON_IMAGE"], "--constraint", str(ROOT / "constraints.txt"))
    done = driftline(models, "build-image", "models:/linear/1", "--engine", ENGINE, *pinned, *arguments, **variables)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def image(models: Path) -> str:
    assert f"{NAME} serves linear, version 1" in build_image(models, "--name", NAME)
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


def test_it_answers_and_keeps_under_the_registrys_name_without_rights(port: int) -> None:
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
    named = engine("exec", CONTAINER, "python", "-c", QUERY, "select name, version from model_version")
    assert named.split() == ["linear", "1"]
    assert "mlflow==" in engine("exec", CONTAINER, "cat", "/opt/driftline/pins.txt")
    assert engine("exec", CONTAINER, "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        engine("exec", "--user", "0", CONTAINER, "touch", "/opt/written")


def test_a_signal_ends_it_under_traffic_with_every_answer_in_the_store(image: str, port: int) -> None:
    with Clients(f"http://127.0.0.1:{port}", BODY) as clients:
        servers.wait_until(lambda: len(clients.answered) > 100, 60, 0.1, "a hundred answers")
        engine("stop", "--time", "40", CONTAINER)
    state = json.loads(engine("inspect", CONTAINER))[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False), engine("logs", "--tail", "30", CONTAINER)
    home = ("--volume", f"{VOLUME}:/var/lib/driftline", "--entrypoint", "python")
    printed = engine("run", "--rm", *HARDENED, *home, image, "-c", QUERY, "select hex(id) from invocation")
    assert clients.answered <= {uuid.UUID(line) for line in printed.split()}
    assert clients.failed, "it was asked when it was gone too"


@pytest.mark.skipif(ENGINE != "podman", reason="how Docker is told to write no times was not tried")
def test_a_second_build_of_the_same_pins_makes_the_same_image(image: str, models: Path, tmp_path: Path) -> None:
    printed = build_image(models, "--output-directory", str(tmp_path / "context"))
    command = printed.rpartition("build it: ")[2].strip().replace("driftline-model", AGAIN)
    build(*command.split(), "--no-cache")
    assert_same_image(NAME, AGAIN)
