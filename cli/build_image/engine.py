"""Docker or Podman, asked to build an image from a folder."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from driftline.store.errors import ConfigurationError, EnvironmentNotBuilt

ENGINES = ("docker", "podman")
_EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/


def build_command(engine: str, name: str, context: Path) -> list[str]:
    """Return the command that builds an image from a context.

    Where SOURCE_DATE_EPOCH is set, Podman is told to write that time everywhere, so that two builds can be one image;
    Docker reads the variable itself.

    Raises:
        ConfigurationError: it is set to something else than seconds.
    """
    epoch = os.environ.get(_EPOCH, "")
    if epoch and not (epoch.isascii() and epoch.isdigit()):
        raise ConfigurationError(f"{_EPOCH} is not a number of seconds since 1970: set it to one, 0 for instance")
    times = ["--timestamp", epoch] if epoch and engine == "podman" else []
    return [engine, "build", *times, "--tag", name, str(context)]


def build(engine: str | None, name: str, context: Path) -> None:
    """Build an image; what the engine says goes where our own output goes.

    Args:
        engine: one of ``ENGINES``; None for the first of them that is installed.

    Raises:
        ConfigurationError: there is no such program.
        EnvironmentNotBuilt: it failed.
    """
    command = build_command(found_engine(engine), name, context)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise EnvironmentNotBuilt(
            f"`{shlex.join(command[:2])}` failed with {code}, the reason stands above: correct the model's "
            "requirements, name another engine with --engine, or write the context alone with --output-directory and "
            "build it by hand"
        )


def found_engine(engine: str | None) -> str:
    """Return the engine to build with.

    Raises:
        ConfigurationError: it is not installed.
    """
    for candidate in [engine] if engine else ENGINES:
        if shutil.which(candidate):
            return candidate
    raise ConfigurationError(
        f"{engine or ' or '.join(ENGINES)} is not installed: install it, or write the context with --output-directory "
        "and build it where there is one"
    )
