"""Resolve a model URI once: where its files lie, and which model version it is."""

import dataclasses
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from driftline.scorer.noted_identity import with_noted
from driftline.store.errors import ModelNotFound
from driftline.store.model_uris import registry_hint
from driftline.store.records import MICROSECONDS, ModelIdentity
from driftline.store.tracking_server import is_remote, require_listening, shown

if TYPE_CHECKING:
    from mlflow.models import Model

_MODELS_SCHEME = "models:/"
_RUNS_SCHEME = "runs:/"
_PATIENCE_SECONDS = 10.0  # for a server that is started at the same time

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's folder on this machine and its identity.

    Attributes:
        fetched: what was made for it here, to be removed when it is needed no more; None where the model is used in
            place.
    """

    path: Path
    identity: ModelIdentity
    fetched: Path | None = None


@dataclass(frozen=True, slots=True)
class _Registered:
    """What the registry says; ``uri`` no longer moves, unlike an alias."""

    uri: str
    name: str
    version: str = ""
    alias: str | None = None
    created_at_us: int | None = None
    ready: bool = True


def may_move(uri: str) -> bool:
    """Return whether the registry may let ``uri`` name another version later: an alias, a stage, the latest."""
    if not uri.startswith(_MODELS_SCHEME):
        return False
    from mlflow.store.artifact.utils.models import _parse_model_uri

    parsed = _parse_model_uri(uri)
    return not (parsed.model_id or parsed.version)


def current_version(uri: str) -> str | None:
    """Ask the registry which version ``uri``, which may move, names now; None while that one is still being copied.

    Raises:
        Exception: whatever MLflow raises where the registry does not answer or knows no such name.
    """
    registered = _registered(uri)
    return registered.version if registered and registered.ready else None


def require_listening_for(uris: Iterable[str]) -> None:
    """Say which MLflow servers are asked for the models, and refuse soon where nothing listens.

    Raises:
        MlflowUnreachable: nothing listens there.
    """
    import mlflow

    for uri in uris:
        if uri.startswith(_MODELS_SCHEME):
            server, variable = str(mlflow.get_registry_uri()), "MLFLOW_REGISTRY_URI"
            if server == mlflow.get_tracking_uri():
                variable = "MLFLOW_TRACKING_URI"
        elif uri.startswith(_RUNS_SCHEME):
            server, variable = str(mlflow.get_tracking_uri()), "MLFLOW_TRACKING_URI"
        else:
            continue
        if is_remote(server):
            _log.info("asking MLflow at %s for %s", shown(server), uri)
            require_listening(server, variable, _PATIENCE_SECONDS)


def resolve(uri: str, into: Path | None = None) -> ModelSource:
    """Return the files and the identity of the model that ``uri`` names now.

    Args:
        uri: anything that ``mlflow models serve -m`` takes.
        into: where a registered model that lies elsewhere is fetched to; None leaves the place to MLflow.

    Raises:
        ModelNotFound: nothing answers to the URI, or what does is no MLflow model.
    """
    from mlflow.models import Model
    from mlflow.tracking.artifact_utils import _download_artifact_from_uri

    with _explained(uri):
        registered = _registered(uri)
        fetched = _folder_for(registered, into)
        path = Path(_download_artifact_from_uri(registered.uri if registered else uri, fetched)).resolve()
        identity = _identity(uri, path, Model.load(str(path)), registered)
        return ModelSource(path, identity, Path(fetched) if fetched else None)


def identify(uri: str) -> ModelIdentity:
    """Return what the model is that ``uri`` names now, from its MLmodel file alone.

    Raises:
        ModelNotFound: nothing answers to the URI, or what does is no MLflow model.
    """
    from mlflow.models import Model

    with _explained(uri):
        registered = _registered(uri)
        found = Model.load(registered.uri if registered else uri)
        return _identity(uri, Path(uri).resolve(), found, registered)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what MLflow and the storages raise into one line."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        yield
    except ImportError as error:
        raise ModelNotFound(
            f"{shown(uri)!r} cannot be read here ({error}): install the package that MLflow reads this storage with"
        ) from error
    except (MlflowException, OSError) as error:
        lines = str(error).strip().splitlines()
        raise ModelNotFound(
            f"no model at {shown(uri)!r} with the tracking server {shown(mlflow.get_tracking_uri())} "
            f"({lines[0].rstrip('.') if lines else type(error).__name__}): correct the URI or MLFLOW_TRACKING_URI"
            f"{registry_hint(uri)}"
        ) from error


def _folder_for(registered: _Registered | None, into: Path | None) -> str | None:
    """Return a new folder for the model's files, None where MLflow finds the place: it uses local ones as they are."""
    if registered is None or into is None:
        return None
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

    repository = get_artifact_repository(registered.uri)
    while isinstance(repository, ModelsArtifactRepository):
        repository = repository.repo
    return None if isinstance(repository, LocalArtifactRepository) else tempfile.mkdtemp(dir=into)


def _registered(uri: str) -> _Registered | None:
    """Ask the registry what a ``models:/`` URI names; None for any other."""
    if not uri.startswith(_MODELS_SCHEME):
        return None
    import mlflow
    from mlflow.store.artifact.utils.models import _parse_model_uri, get_model_name_and_version

    client = mlflow.MlflowClient()
    parsed = _parse_model_uri(uri)
    if parsed.model_id:
        model = client.get_logged_model(parsed.model_id)
        return _Registered(uri, model.name or parsed.model_id, created_at_us=model.creation_timestamp * 1000)
    name, version = get_model_name_and_version(client, uri)
    found = client.get_model_version(name, version)
    return _Registered(
        uri=f"{_MODELS_SCHEME}{name}/{version}",
        name=name,
        version=str(version),
        alias=parsed.alias,
        created_at_us=found.creation_timestamp * 1000,
        ready=found.status in (None, "READY"),
    )


def _identity(uri: str, path: Path, model: "Model", registered: _Registered | None) -> ModelIdentity:
    identity = ModelIdentity(
        name=registered.name if registered else _last_part(uri, path),
        version=(registered and registered.version) or model.model_id or model.run_id or "",
        uri=shown(uri),
        run_id=model.run_id,
        model_id=model.model_id,
        alias=registered.alias if registered else None,
        flavor=next((name for name in model.flavors if name != "python_function"), "python_function"),
        signature=model.signature.to_dict() if model.signature else None,
        created_at_us=(registered and registered.created_at_us) or _utc_us(model.utc_time_created),
    )
    if not identity.version:
        identity = dataclasses.replace(identity, version=identity.fingerprint)
    return identity if registered else with_noted(identity, path)


def _last_part(uri: str, path: Path) -> str:
    local = Path(uri)
    return path.name if local.exists() else urlsplit(uri).path.rstrip("/").rsplit("/", 1)[-1] or path.name


def _utc_us(text: Any) -> int | None:
    """Return MLflow's ``utc_time_created`` in microseconds since the epoch."""
    if not text:
        return None
    return int(datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp() * MICROSECONDS)
