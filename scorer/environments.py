"""Build the model's own environment as MLflow does, put driftline into it and go on there.

Invariants
----------
- The environment is made by the installed MLflow's functions, under a name of its own: one that
  ``mlflow models serve`` made is never changed.
- The model's requirements and ours are installed in one resolution: where they contradict each other the start is
  refused, and nothing that the model pins is replaced.
- One process builds at a time; the others wait and find what it built.
- The process that built becomes the one that serves, so that its id, signals and exit code are the server's.
"""

import fcntl
import logging
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from driftline.scorer.model_requirements import python_of, requirement_lines
from driftline.scorer.model_source import require_listening_for, resolve
from driftline.scorer.own_package import own_requirement
from driftline.store.errors import ConfigurationError, EnvironmentNotBuilt

LOCAL = "local"
MANAGERS = (LOCAL, "virtualenv", "uv", "conda")

_MISSING = {
    "virtualenv": "pyenv, with which MLflow installs the model's Python: install it "
    "(https://github.com/pyenv/pyenv#installation) or use `--env-manager uv`",
    "uv": "uv, with which MLflow makes the environment: `pip install uv`",
    "conda": "conda, with which MLflow makes the environment: install it and name its folder with MLFLOW_CONDA_HOME, "
    "or use `--env-manager uv`",
}
_INSTALLERS = {"virtualenv": "python -m pip install", "uv": "uv pip install", "conda": "python -m pip install"}

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True)
class EnvironmentOptions:
    """What of the command line decides on the environment.

    Attributes:
        manager: one of ``MANAGERS``.
        model_uri: the model whose requirements count.
        install_mlflow: put this MLflow there, whatever the model asks for.
        extras: extras of driftline that the server needs there, separated by commas.
    """

    manager: str
    model_uri: str
    install_mlflow: bool = False
    extras: str = ""


def enter(options: EnvironmentOptions, arguments: Sequence[str]) -> None:
    """Become ``driftline`` with these arguments in the model's environment; return where that is this environment.

    As in MLflow's containers, MLFLOW_DISABLE_ENV_CREATION says that the environment is there and active already.

    Raises:
        ConfigurationError: no such environment manager, or its program is not installed.
        EnvironmentNotBuilt: the model's requirements cannot be installed, or not together with driftline's.
    """
    if options.manager not in MANAGERS:
        raise ConfigurationError(f"--env-manager should be one of {', '.join(MANAGERS)}, found {options.manager!r}")
    if options.manager == LOCAL or _creation_is_disabled():
        return
    require_listening_for([options.model_uri])
    model = resolve(options.model_uri).path
    _check(options.manager, model)
    with _one_builder():
        activation = _build(options, model)
    if activation is not None:
        _log.info("serving from the %s environment of %s", options.manager, options.model_uri)
        _become(activation, arguments)


def _creation_is_disabled() -> bool:
    from mlflow.environment_variables import MLFLOW_DISABLE_ENV_CREATION

    return bool(MLFLOW_DISABLE_ENV_CREATION.get())


def _check(manager: str, model: Path) -> None:
    """Refuse before minutes of work what cannot end well."""
    from mlflow.utils.conda import get_conda_bin_executable

    if manager != "conda":  # which reads another file, with packages that MLflow's other functions refuse
        python_of(model, remedy="use `--env-manager local`")
    # Programs installed beside this Python, like `pip install uv`, are found although its folder may not be on PATH.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    programs = {"virtualenv": "pyenv", "uv": "uv", "conda": get_conda_bin_executable("conda")}
    if shutil.which(programs[manager]) is None:
        raise ConfigurationError(f"--env-manager {manager} needs {_MISSING[manager]}")


@contextmanager
def _one_builder() -> Iterator[None]:
    """Hold the lock of the folder where MLflow keeps its environments."""
    from mlflow.environment_variables import MLFLOW_ENV_ROOT

    folder = Path(MLFLOW_ENV_ROOT.get())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "driftline.lock", "w")  # noqa: SIM115 - closed below, or by the system
    except OSError as error:
        raise EnvironmentNotBuilt(
            f"{folder} cannot be written ({error.strerror}): name another folder with MLFLOW_ENV_ROOT"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for another driftline that builds an environment in %s", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(options: EnvironmentOptions, model: Path) -> list[str] | None:
    """Return the shell commands that activate the environment, driftline in it; None where MLflow takes this one."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.process import ShellCommandException

    try:
        backend = _backend(options, model)
        if backend._env_manager == LOCAL:  # MLflow's choice for a model without an environment of its own
            return None
        environment = backend.prepare_env(str(model))
        with own_requirement(options.extras) as ours, _requirements(options, model) as theirs:
            command = f"{_INSTALLERS[options.manager]} {shlex.quote(ours)} -r {theirs.name} 1>&2"
            environment.execute(f"(cd {shlex.quote(str(theirs.parent))} && {command})")
        return list(environment.get_activate_command())
    except (MlflowException, ShellCommandException, OSError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EnvironmentNotBuilt(
            f"the {options.manager} environment of {options.model_uri} could not be built ({line}), the reason stands "
            "above: correct the model's requirements (another MLflow than the one it was logged with: add "
            "`--install-mlflow`), or install them here and use `--env-manager local`"
        ) from error


def _backend(options: EnvironmentOptions, model: Path) -> Any:
    from mlflow.models import Model
    from mlflow.pyfunc import FLAVOR_NAME
    from mlflow.pyfunc.backend import PyFuncBackend

    backend = PyFuncBackend(
        Model.load(str(model)).flavors.get(FLAVOR_NAME, {}),
        env_manager=options.manager,
        install_mlflow=options.install_mlflow,
    )
    # It goes into the environment's name: MLflow's means of telling apart environments that get more than the model's.
    backend._env_id = f"{backend._env_id or ''}driftline-{version('driftline')}"
    return backend


@contextmanager
def _requirements(options: EnvironmentOptions, model: Path) -> Iterator[Path]:
    """Yield a file with what the model requires, among links to all that it may name beside itself.

    Without the line of MLflow where ``--install-mlflow`` has just replaced it.
    """
    with tempfile.TemporaryDirectory(prefix="driftline-requirements-") as folder:
        for item in model.iterdir():
            Path(folder, item.name).symlink_to(item)
        kept = requirement_lines(model, without_mlflow=options.install_mlflow)
        file = Path(folder, "driftline-requirements.txt")
        file.write_text("\n".join(kept), encoding="utf-8")
        yield file


def _become(activation: Sequence[str], arguments: Sequence[str]) -> None:
    sys.stdout.flush()
    program = shlex.join(["python", "-P", "-m", "driftline.cli", *arguments])
    os.execvp("bash", ["bash", "-c", " && ".join([*activation, f"exec {program}"])])  # noqa: S606
