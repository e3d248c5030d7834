"""What an installer is told so that another environment gets the driftline that runs here."""

import json
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from driftline.store.errors import ConfigurationError

_NAME = "driftline"
_NOT_PACKAGED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "driftline-*")


@contextmanager
def own_requirement(extras: str = "") -> Iterator[str]:
    """Yield a requirement of this driftline: a release by its version, anything else by where it was installed from.

    A source checkout is copied first, because a build leaves folders in its tree; the copy goes at the end.

    Args:
        extras: names of extras, separated by commas.

    Raises:
        ConfigurationError: it was installed from a folder or file that is gone.
    """
    name = f"{_NAME}[{extras}]" if extras else _NAME
    origin = _origin()
    if not origin:
        yield f"{name}=={version(_NAME)}"
    elif "vcs_info" in origin:
        yield f"{name} @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    elif "dir_info" not in origin:
        yield f"{name} @ {origin['url']}"
    else:
        with tempfile.TemporaryDirectory(prefix="driftline-source-") as folder:
            copy = Path(folder, _NAME)
            _copy_source(Path(unquote(urlsplit(origin["url"]).path)), copy)
            yield f"{name} @ {copy.as_uri()}"


def packed_requirement(folder: Path, mounted: str, extras: str = "") -> str:
    """Put into a folder what an installer needs of this driftline there, and return the requirement.

    Args:
        folder: where a source checkout or a local file is copied to; a release and a repository need nothing there.
        mounted: the path under which the installer sees the folder.
        extras: names of extras, separated by commas.

    Raises:
        ConfigurationError: it was installed from a folder or file that is gone.
    """
    origin = _origin()
    if "vcs_info" in origin or not origin.get("url", "").startswith("file:"):
        with own_requirement(extras) as requirement:
            return requirement
    source = Path(unquote(urlsplit(origin["url"]).path))
    packed = _NAME if "dir_info" in origin else source.name
    if "dir_info" in origin:
        _copy_source(source, folder / packed)
    elif source.is_file():
        shutil.copy(source, folder / packed)
    else:
        raise _gone(source)
    return f"{_NAME}{f'[{extras}]' if extras else ''} @ file://{mounted}/{packed}"


def _origin() -> dict[str, Any]:
    """Return what the installer wrote about the origin (PEP 610); empty for a release from an index."""
    texts = (found.read_text("direct_url.json") for found in distributions(name=_NAME))
    return next((dict(json.loads(text)) for text in texts if text), {})


def _copy_source(source: Path, copy: Path) -> None:
    """Copy what a build reads, and nothing else that lies there: secrets of compose, stores, data."""
    try:
        described = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _gone(source) from None
    project, setuptools = described.get("project", {}), described.get("tool", {}).get("setuptools", {})
    read = {"pyproject.toml", project.get("readme"), *project.get("license-files", ())}
    read |= set(setuptools.get("package-dir", {}).values())

    def left_out(folder: str, names: list[str]) -> set[str]:
        others = set(names) - read if Path(folder) == source else set()
        return others | set(_NOT_PACKAGED(folder, names))

    shutil.copytree(source, copy, ignore=left_out)


def _gone(source: Path) -> ConfigurationError:
    return ConfigurationError(
        f"this driftline was installed from {source}, which is gone, and so cannot be put into the model's "
        "environment: install a release, or install the model's requirements here and use `--env-manager local`"
    )
