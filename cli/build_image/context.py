"""A folder that an image is built from: the model, what it requires, driftline, and the Dockerfile that joins them."""

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from driftline.cli.build_image.dockerfile import MODEL, MOUNTED, REQUIREMENTS, WRITTEN_BY, dockerfile
from driftline.scorer.model_requirements import python_of, requirement_lines
from driftline.scorer.model_source import ModelSource
from driftline.scorer.noted_identity import note_identity
from driftline.scorer.own_package import packed_requirement
from driftline.store.errors import ConfigurationError, EnvironmentNotBuilt

_EXTRAS = "postgresql"
_PINS = "pins.txt"


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What of the command line decides on the image.

    Attributes:
        base_image: what it is built on; empty for the Python that the model asks for.
        constraint: a file of pins for the packages that the model does not pin; None leaves them open.
        install_mlflow: put this MLflow there, whatever the model asks for.
    """

    base_image: str = ""
    constraint: Path | None = None
    install_mlflow: bool = False


def write_context(folder: Path, source: ModelSource, options: ImageOptions) -> None:
    """Write all that an image of the model is built from into a folder; an earlier context there is replaced.

    Raises:
        ConfigurationError: the folder holds something else, or cannot be written.
        EnvironmentNotBuilt: the model asks for a Python or a system that the image would not have.
    """
    base_image = options.base_image or f"python:{python_of(source.path, remedy='name an image with --base-image')}-slim"
    if not options.base_image:
        _refuse_java(source.path)
    name, version = source.identity.name, source.identity.version
    text = dockerfile(f"{name}, version {version}", base_image, _system_packages(source.path))
    try:
        _empty(folder, source.path)
        # First, so that a context that was broken off is known as one.
        (folder / "Dockerfile").write_text(text, encoding="utf-8")
        _write_model(folder / MODEL, source)
        _write_requirements(folder / REQUIREMENTS, source.path, options)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written ({error.strerror or error}): name another by --output-directory"
        ) from error


def _empty(folder: Path, model: Path) -> None:
    if folder.resolve().is_relative_to(model.resolve()):
        raise ConfigurationError(
            f"{folder} lies in the model's own folder, which would be copied into itself: name another by "
            "--output-directory"
        )
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "Dockerfile"
    ours = written.is_file() and written.read_text(encoding="utf-8", errors="replace").startswith(WRITTEN_BY)
    if any(folder.iterdir()) and not ours:
        raise ConfigurationError(
            f"{folder} is not empty and holds no Dockerfile that this command wrote: name another by --output-directory"
        )
    for name in (MODEL, REQUIREMENTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _write_model(folder: Path, source: ModelSource) -> None:
    shutil.copytree(source.path, folder)
    note_identity(folder, source.identity)
    for path in (folder, *folder.rglob("*")):  # the container's user is another one than the owner of these files
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if stat.S_ISDIR(mode) else 0o444))


def _write_requirements(folder: Path, model: Path, options: ImageOptions) -> None:
    """Write the model's requirements with what they name beside themselves, ours, and the pins of what both leave open.

    The model itself is left out, so that a new version with the same requirements finds the installed ones again.
    """
    folder.mkdir()
    lines = requirement_lines(model, without_mlflow=options.install_mlflow)
    for named in _named_files(model, lines):
        (folder / named).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (model / named).is_dir() else shutil.copy
        copy(model / named, folder / named)
    ours = [packed_requirement(folder, MOUNTED, _EXTRAS)]
    if options.install_mlflow:
        from mlflow.version import VERSION

        ours.append(f"mlflow=={VERSION}")
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "driftline.txt").write_text("".join(f"{line}\n" for line in ours), encoding="utf-8")
    (folder / _PINS).write_text(
        options.constraint.read_text(encoding="utf-8") if options.constraint else "", encoding="utf-8"
    )


def _named_files(model: Path, lines: list[str]) -> list[str]:
    """Return what of the model's folder its requirements name: wheels, further requirements, constraints."""
    words = [line.split("#", maxsplit=1)[0].replace("=", " ").split() for line in lines]
    named = {line[-1] for line in words if line and (model / line[-1]).exists()}
    return sorted(name for name in named if (model / name).resolve().is_relative_to(model.resolve()))


def _system_packages(model: Path) -> list[str]:
    """Return the Debian packages that MLflow would install for the model's flavors."""
    from mlflow.pyfunc import backend

    packages: dict[str, list[str]] = getattr(backend, "FLAVOR_SPECIFIC_APT_PACKAGES", {})
    return sorted({package for flavor in _flavors(model) for package in packages.get(flavor, [])})


def _refuse_java(model: Path) -> None:
    from mlflow.pyfunc import backend

    found = sorted(set(getattr(backend, "JAVA_FLAVORS", ())) & _flavors(model))
    if found:
        raise EnvironmentNotBuilt(
            f"a model of {found[0]} needs Java, which images of Python have not: name one that has both by --base-image"
        )


def _flavors(model: Path) -> set[str]:
    from mlflow.models import Model

    return set(Model.load(str(model)).flavors)
