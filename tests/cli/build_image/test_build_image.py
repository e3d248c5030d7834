"""`driftline build-image`: what an image is built from, as it is written; `make containers` builds and runs one."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner, Result
from monitor_rig import TinyModel, sqlite_context, template, tiny, tracking

from driftline.cli.build_image.dockerfile import dockerfile
from driftline.cli.main import root
from driftline.scorer.model_source import resolve

__all__ = ["sqlite_context", "template", "tiny", "tracking"]

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Return a function that runs the command."""
    return lambda *arguments: CliRunner().invoke(root, ["build-image", *map(str, arguments)])


@pytest.fixture
def model(tiny: TinyModel, tracking: mlflow.MlflowClient, tmp_path: Path) -> Path:
    """A copy of the model's folder, which a test may change."""
    return Path(shutil.copytree(resolve(tiny.uri).path, tmp_path / "copied"))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_context_holds_the_model_under_its_registered_name_what_it_requires_and_driftline(
    run: Run, tiny: TinyModel, tracking: mlflow.MlflowClient, tmp_path: Path
) -> None:
    tracking.set_registered_model_alias("tiny", "champion", "1")
    folder = tmp_path / "image"
    done = run("models:/tiny@champion", "-d", folder, "--engine", "podman")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"build it: podman build --tag driftline-model {folder}"
    served = resolve(tiny.uri)
    baked = resolve(str(folder / "model"))
    assert (baked.identity.name, baked.identity.version) == ("tiny", "1")
    assert (baked.identity.fingerprint, baked.identity.run_id) == (served.identity.fingerprint, served.identity.run_id)
    assert lines(folder / "requirements" / "requirements.txt") == lines(served.path / "requirements.txt")
    assert lines(folder / "requirements" / "driftline.txt") == ["driftline[postgresql] @ file:///context/driftline"]
    assert (folder / "requirements" / "driftline" / "scorer" / "model_source.py").is_file()
    assert not (folder / "requirements" / "driftline" / "tests").exists()
    assert lines(folder / "requirements" / "pins.txt") == []
    text = (folder / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--)(\S+) ", text, re.M)
    assert all((folder / name).is_dir() for name in copied)
    assert set(copied) == {path.name for path in folder.iterdir()} - {"Dockerfile"}
    python = re.search(r"^python: (\S+)$", (served.path / "python_env.yaml").read_text(), re.M)
    assert python is not None
    assert f"ARG PYTHON_IMAGE=python:{python[1]}-slim\n" in text
    assert re.findall(r"^(?:USER|ENTRYPOINT|CMD) (.+)$", text, re.M) == ["10001:10001", '["driftline"]', '["serve"]']


def test_what_the_model_pins_and_brings_along_stays_and_what_it_leaves_open_can_be_pinned(
    run: Run, model: Path, tmp_path: Path
) -> None:
    (model / "wheels").mkdir()
    (model / "wheels" / "ours-1.0-py3-none-any.whl").touch()
    (model / "constraints.txt").write_text("six==1.16.0\n")
    (tmp_path / "outside.txt").touch()
    required = ["mlflow==3.1.0", "-c constraints.txt", "wheels/ours-1.0-py3-none-any.whl  # ours", "-r ../outside.txt"]
    (model / "requirements.txt").write_text("\n".join(required))
    (tmp_path / "lock.txt").write_text("numpy==2.0.0\n")
    folder = tmp_path / "image"
    flags = ("--constraint", tmp_path / "lock.txt", "--base-image", "registry.internal/python:3.11")
    assert run("-m", model, "-d", folder, *flags).exit_code == 0
    found = {str(path.relative_to(folder / "requirements")) for path in (folder / "requirements").rglob("*.[tw][xh]*")}
    assert {"wheels/ours-1.0-py3-none-any.whl", "constraints.txt"} <= found
    assert lines(folder / "requirements" / "requirements.txt") == required
    assert lines(folder / "requirements" / "pins.txt") == ["numpy==2.0.0"]
    assert "ARG PYTHON_IMAGE=registry.internal/python:3.11\n" in (folder / "Dockerfile").read_text()
    (model / "python_env.yaml").unlink()
    assert run("-m", model, "-d", folder, "--install-mlflow", *flags[2:]).exit_code == 0
    assert lines(folder / "requirements" / "requirements.txt") == required[1:]
    assert f"mlflow=={mlflow.__version__}" in lines(folder / "requirements" / "driftline.txt")
    assert not (folder / "model" / "python_env.yaml").exists(), "which the earlier context had"


def test_the_containers_user_can_read_what_only_its_owner_could(run: Run, model: Path, tmp_path: Path) -> None:
    (model / "MLmodel").chmod(0o600)
    model.chmod(0o700)
    assert run(model, "-d", tmp_path / "image").exit_code == 0
    assert all(path.stat().st_mode & 0o004 for path in (tmp_path / "image" / "model").rglob("*"))
    assert (tmp_path / "image" / "model").stat().st_mode & 0o005 == 0o005


def test_a_folder_that_holds_something_else_is_not_touched(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    refused = run(model, "-d", folder)
    assert refused.exit_code != 0
    assert "name another by --output-directory" in str(refused.exception)
    assert lines(folder / "Dockerfile") == ["FROM scratch"]


def test_a_context_in_the_models_own_folder_is_refused_before_it_is_copied_into_itself(run: Run, model: Path) -> None:
    for folder in (model, model / "image"):
        refused = run(model, "-d", folder)
        assert refused.exit_code != 0
        assert "copied into itself" in str(refused.exception)
    assert not (model / "image").exists()


def test_a_python_or_a_system_that_the_image_would_not_have_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    flavors = (model / "MLmodel").read_text()
    (model / "MLmodel").write_text(flavors.replace("flavors:\n", "flavors:\n  spark: {}\n  lightgbm: {}\n", 1))
    assert "needs Java" in str(run(model, "-d", tmp_path / "image").exception)
    assert run(model, "-d", tmp_path / "image", "--base-image", "java-and-python:1").exit_code == 0
    assert "install -y --no-install-recommends libgomp1 &&" in (tmp_path / "image" / "Dockerfile").read_text()
    (model / "python_env.yaml").write_text("python: 3.8.18\n")
    assert "name an image with --base-image" in str(run(model, "-d", tmp_path / "image").exception)


def test_one_model_is_named_and_what_builds_it_is_there(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "name one model" in run().output
    assert "name one model" in run(model, "-m", model).output
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert "docker or podman is not installed" in str(run(model, "--name", "churn").exception)
    (programs / "podman").write_text("#!/bin/sh\nexit 5\n")
    (programs / "podman").chmod(0o755)
    failed = run(model, "--name", "churn")
    assert "`podman build` failed with 5" in str(failed.exception)
    assert "docker is not installed" in str(run(model, "--name", "churn", "--engine", "docker").exception)


def test_podman_writes_the_time_of_source_date_epoch_everywhere(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = (model, "-d", tmp_path / "image", "--engine")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert "build it: podman build --timestamp 86400 --tag " in run(*flags, "podman").output
    assert "build it: docker build --tag " in run(*flags, "docker").output
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert "is not a number of seconds" in str(run(*flags, "podman").exception)


def test_a_models_name_cannot_write_into_the_dockerfile() -> None:
    text = dockerfile("churn\nRUN rm -rf /, version 1", "python:3.11-slim")
    assert "\nRUN rm" not in text
