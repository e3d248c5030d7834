"""The model's own environment: made by MLflow, with driftline in it, and the server goes on there."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import servers
from scoring_servers import DriftlineServer, driftline_server

from driftline.scorer.environments import EnvironmentOptions, _one_builder, _requirements, enter
from driftline.scorer.own_package import own_requirement, packed_requirement
from driftline.store.errors import ConfigurationError

pytestmark = pytest.mark.thorough
_NO_DOWNLOAD = re.compile(r"failed to fetch|connection|timed out|dns error|name resolution|could not connect", re.I)
_PINNED = "orjson", "3.10.0"  # older than what driftline would bring
_BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2], [3, -4]]}}'
_PYENV = Path(sys.base_prefix).parents[1] / "bin"

Start = Callable[..., DriftlineServer]


@pytest.fixture
def linear(models: Path, model_ids: dict[str, dict[str, str]], tmp_path: Path) -> Path:
    """A copy of the linear model's folder, whose requirements a test may change."""
    (found,) = (models / "artifacts").rglob(f"{model_ids['linear']['model_id']}/artifacts/MLmodel")
    return Path(shutil.copytree(found.parent, tmp_path / "linear"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("manager", ["uv", pytest.param("virtualenv", marks=pytest.mark.slow)])
def test_the_server_runs_in_an_environment_of_its_own_that_keeps_the_models_pins(
    models: Path, linear: Path, start: Start, tmp_path: Path, manager: str
) -> None:
    package, pin = _PINNED
    with (linear / "requirements.txt").open("a") as requirements:
        requirements.write(f"\n{package}=={pin}\n")
    root = tmp_path / "environments"
    server = driftline_server(
        models, str(linear), f"driftline-{manager}", "--env-manager", manager, MLFLOW_ENV_ROOT=str(root)
    )
    path = f"{server.environment['PATH']}:{_PYENV}"
    if manager == "virtualenv" and shutil.which("pyenv", path=path) is None:
        pytest.skip("pyenv is not installed")
    server.environment = {**server.environment, "PATH": path}
    _build_and_serve(server)
    try:
        (environment,) = (path for path in root.iterdir() if path.is_dir())
        assert environment.name != _mlflows_name(linear)
        for pid in (server.process.pid, *server.family()):
            assert str(environment).encode() in Path(f"/proc/{pid}/environ").read_bytes()
        assert list((environment / "lib").glob(f"python*/site-packages/{package}-{pin}.dist-info"))
        expected = start(str(linear), f"local-{manager}").score(_BODY)
        answer = server.score(_BODY)
        assert (answer.status, answer.body) == (200, expected.body)
    finally:
        code = server.stop()
    assert code == 0
    assert [invocation.status for invocation in server.invocations()] == [200]


def _mlflows_name(model: Path) -> str:
    """Return the name of the environment that `mlflow models serve` makes of the model."""
    program = (
        "import sys; from pathlib import Path; from mlflow.utils import virtualenv as v; model = Path(sys.argv[1]); "
        "print(v._get_virtualenv_name(v._get_python_env(model), model))"
    )
    done = subprocess.run([sys.executable, "-c", program, model], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _build_and_serve(server: DriftlineServer) -> None:
    server.start()
    servers.wait_until(lambda: server._answers() or server.process.poll() is not None, 800, 0.2, str(server.log))
    log = server.log.read_text()
    if server.process.poll() is not None and _NO_DOWNLOAD.search(log):
        pytest.skip(f"packages cannot be downloaded: {log[-300:]}")
    assert server.process.poll() is None, log


def _refusal(server: DriftlineServer) -> str:
    """Return the last line of a server that does not start."""
    done = server.run_to_end(200)
    assert done.returncode not in (0, None)
    if _NO_DOWNLOAD.search(done.stderr):
        pytest.skip(f"packages cannot be downloaded: {done.stderr[-300:]}")
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("manager", "next_step"), [("conda", "MLFLOW_CONDA_HOME"), ("virtualenv", "`--env-manager uv`")]
)
def test_a_missing_program_is_one_line_with_the_next_step(models: Path, manager: str, next_step: str) -> None:
    server = driftline_server(models, "models:/linear/1", f"no-{manager}", "--env-manager", manager, PATH="/nowhere")
    line = _refusal(server)
    assert line.startswith(f"driftline: --env-manager {manager} needs ")
    assert next_step in line


def test_a_python_that_driftline_does_not_run_on_is_refused_before_anything_is_built(
    models: Path, linear: Path, tmp_path: Path
) -> None:
    (linear / "python_env.yaml").write_text("python: 3.8.18\ndependencies:\n- -r requirements.txt\n")
    root = tmp_path / "environments"
    server = driftline_server(models, str(linear), "old", "--env-manager", "uv", MLFLOW_ENV_ROOT=str(root))
    assert "Python 3.8.18" in _refusal(server)
    assert not root.exists()


def test_requirements_that_leave_no_room_for_driftline_are_refused(models: Path, linear: Path, tmp_path: Path) -> None:
    (linear / "requirements.txt").write_text("SQLAlchemy==1.4.54\n")
    root = tmp_path / "environments"
    server = driftline_server(models, str(linear), "conflict", "--env-manager", "uv", MLFLOW_ENV_ROOT=str(root))
    line = _refusal(server)
    assert line.startswith("driftline: the uv environment of ")
    assert "`--env-manager local`" in line


def test_a_disabled_creation_serves_from_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_ENV_CREATION", "true")
    enter(EnvironmentOptions("conda", "models:/nothing/1"), ["serve"])


@pytest.mark.parametrize(("install_mlflow", "kept"), [(False, ["mlflow==3.0.0", "six"]), (True, ["six"])])
def test_the_models_mlflow_counts_unless_this_one_is_put_there(
    tmp_path: Path, install_mlflow: bool, kept: list[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("mlflow==3.0.0\nsix\n")
    (tmp_path / "local-1.0-py3-none-any.whl").touch()
    with _requirements(EnvironmentOptions("uv", "models:/x/1", install_mlflow), tmp_path) as file:
        assert file.read_text().splitlines() == kept
        assert (file.parent / "local-1.0-py3-none-any.whl").exists(), "which a requirement may name"


def test_one_process_builds_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path))
    built: list[str] = []

    def build() -> None:
        with _one_builder():
            built.append("second")

    second = threading.Thread(target=build)
    with _one_builder():
        second.start()
        second.join(0.3)
        built.append("first")
    second.join(60)
    assert built == ["first", "second"]


def _install(folder: Path, origin: str | None) -> None:
    """Write what an installer leaves of a driftline 9.9."""
    information = folder / "driftline-9.9.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: driftline\nVersion: 9.9\n")
    if origin:
        (information / "direct_url.json").write_text(origin)


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, "driftline[postgresql]==9.9"),
        ('{"url": "file:///w/driftline-9.9-py3-none-any.whl", "archive_info": {}}',
         "driftline[postgresql] @ file:///w/driftline-9.9-py3-none-any.whl"),
        ('{"url": "https://host/driftline.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
         "driftline[postgresql] @ git+https://host/driftline.git@abc"),
    ],
    ids=["release", "wheel", "repository"],
)  # fmt: skip
def test_the_other_environment_gets_the_driftline_that_runs_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: str | None, requirement: str
) -> None:
    _install(tmp_path, origin)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with own_requirement("postgresql") as found:
        assert found == requirement


def test_a_source_checkout_is_built_from_a_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "source tree"
    for name in (
        "scorer/worker.py", "scorer/tests/a.py", ".venv/python", "README.md", "deploy/secrets/password", "store.sqlite",
    ):  # fmt: skip
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    (source / "pyproject.toml").write_text(
        '[project]\nreadme = "README.md"\n[tool.setuptools.package-dir]\n"driftline.scorer" = "scorer"\n'
    )
    _install(tmp_path, f'{{"url": "{source.as_uri()}", "dir_info": {{"editable": true}}}}')
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with own_requirement() as found:
        copy = Path(found.removeprefix("driftline @ file://"))
        files = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
        assert files == {"scorer/worker.py", "pyproject.toml", "README.md"}
    assert not copy.exists()


def test_a_source_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _install(tmp_path, '{"url": "file:///nowhere", "dir_info": {}}')
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigurationError, match="install a release"), own_requirement():
        pass


def test_a_folder_gets_what_an_installer_needs_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, wheel, folder = tmp_path / "source tree", tmp_path / "driftline-9.9-py3-none-any.whl", tmp_path / "context"
    source.mkdir()
    folder.mkdir()
    (source / "pyproject.toml").touch()
    wheel.touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    _install(tmp_path, f'{{"url": "{source.as_uri()}", "dir_info": {{}}}}')
    assert packed_requirement(folder, "/context", "postgresql") == "driftline[postgresql] @ file:///context/driftline"
    origin = tmp_path / "driftline-9.9.dist-info" / "direct_url.json"
    origin.write_text(f'{{"url": "{wheel.as_uri()}", "archive_info": {{}}}}')
    assert packed_requirement(folder, "/context") == f"driftline @ file:///context/{wheel.name}"
    assert (folder / "driftline" / "pyproject.toml").exists()
    assert (folder / wheel.name).exists()
    wheel.unlink()
    with pytest.raises(ConfigurationError, match="install a release"):
        packed_requirement(folder, "/context")
    origin.unlink()
    assert packed_requirement(folder, "/context", "postgresql") == "driftline[postgresql]==9.9"
