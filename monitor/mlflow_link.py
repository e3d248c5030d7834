"""What driftline asks of MLflow and leaves there: the one way to the MLflow client.

A reference lies beside its model: in the model's own run under ``driftline/<model id>/``, as the reference file and a
sample of its rows. The tag ``driftline.reference`` on the model version and on the LoggedModel names that folder.
"""

import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from driftline.monitor.model_files import load_model, model_info
from driftline.store.errors import MlflowUnreachable, ModelNotFound
from driftline.store.model_uris import registry_hint
from driftline.store.records import MICROSECONDS, ModelIdentity
from driftline.store.tracking_server import require_listening, shown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

T = TypeVar("T")
REFERENCE_TAG = "driftline.reference"
_ASKED_SCHEMES = ("models:/", "runs:/")
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


class MlflowLink:
    """MLflow as the environment configures it (``MLFLOW_TRACKING_URI`` and its kin); cheap to make."""

    @property
    def client(self) -> "MlflowClient":
        """A client of the current tracking server."""
        from mlflow import MlflowClient

        return MlflowClient()

    @property
    def tracking_uri(self) -> str:
        """The tracking server's URI; may hold a password, see ``shown_uri``."""
        import mlflow

        return str(mlflow.get_tracking_uri())

    @property
    def shown_uri(self) -> str:
        """The tracking server's URI without user and password."""
        return shown(self.tracking_uri)

    def require_listening(self) -> None:
        """Raise at once where nothing listens at the tracking or the registry URI.

        Raises:
            MlflowUnreachable: so it is.
        """
        import mlflow

        require_listening(self.tracking_uri, "MLFLOW_TRACKING_URI")
        if (registry := str(mlflow.get_registry_uri())) != self.tracking_uri:
            require_listening(registry, "MLFLOW_REGISTRY_URI")

    def probe(self, timeout_seconds: float = 5.0) -> bool:
        """Return whether MLflow answers now."""
        uri = self.tracking_uri
        try:
            if uri.startswith(("http://", "https://")):
                health = f"{uri.rstrip('/')}/health"
                with urllib.request.urlopen(health, timeout=timeout_seconds) as answer:  # noqa: S310 - http(s) only
                    return bool(answer.status == 200)
            self.client.search_experiments(max_results=1)
        except Exception:  # whatever the reason, it does not answer
            return False
        return True

    def resolve(self, uri: str) -> ModelIdentity:
        """Return what the model at ``uri`` is.

        Raises:
            ModelNotFound: nothing loadable lies there, or MLflow does not answer.
            MlflowUnreachable: nothing listens where it is asked.
        """
        if uri.startswith(_ASKED_SCHEMES):
            self.require_listening()
        try:
            info = model_info(uri)
            registered = self._registered(uri)
        except Exception as error:  # MLflow and its stores raise many kinds
            raise ModelNotFound(
                f"no model at {uri}: {first_line(error)} (tracking server {self.shown_uri}); "
                f"check the URI, or set MLFLOW_TRACKING_URI{registry_hint(uri)}"
            ) from error
        identity = ModelIdentity(
            name=_last_part(uri),
            version=info.model_id or info.run_id or "",
            uri=shown(uri),
            run_id=info.run_id,
            model_id=info.model_id,
            flavor=next((f for f in info.flavors if f != "python_function"), "python_function"),
            signature=info.signature.to_dict() if info.signature else None,
            created_at_us=_utc_us(str(info.utc_time_created)),
        )
        identity = replace(identity, **registered)
        return identity if identity.version else replace(identity, version=identity.fingerprint)

    def _registered(self, uri: str) -> dict[str, Any]:
        """Return what the registry says of a ``models:/`` URI, as fields of an identity."""
        from mlflow.store.artifact.utils.models import get_model_name_and_version

        if not uri.startswith("models:/"):
            return {}
        found = get_model_name_and_version(self.client, uri)
        if len(found) == 1:
            model = self.client.get_logged_model(found[0])
            return {"name": model.name or found[0], "created_at_us": model.creation_timestamp * 1000}
        name, version = found[0], str(found[1])
        created = self.client.get_model_version(name, version).creation_timestamp
        return {
            "name": name,
            "version": version,
            "created_at_us": created * 1000,
            "alias": uri.rpartition("@")[2] if "@" in uri else None,
        }

    def load(self, uri: str) -> Any:
        """Return the model at ``uri``, loaded as a Python function.

        Raises:
            ModelNotFound: it cannot be loaded here.
        """
        try:
            return load_model(uri)
        except Exception as error:
            raise ModelNotFound(
                f"the model at {uri} cannot be loaded in this environment: {first_line(error)}; "
                "install what `mlflow.pyfunc.get_model_dependencies` lists"
            ) from error

    def tags(self, identity: ModelIdentity) -> dict[str, str]:
        """Return the tags of run, LoggedModel and model version; where they share a key, the last of these wins."""
        client, run_id, model_id = self.client, identity.run_id, identity.model_id
        found: dict[str, str] = {}
        if run_id:
            found |= self._asked(lambda: client.get_run(run_id).data.tags) or {}
        if model_id:
            found |= self._asked(lambda: client.get_logged_model(model_id).tags) or {}
        if identity.version.isdigit():
            found |= self._asked(lambda: client.get_model_version(identity.name, identity.version).tags) or {}
        return found

    def experiment_of(self, run_id: str) -> str | None:
        """Return the id of the experiment that a run belongs to; None where MLflow has no such run."""
        return self._asked(lambda: str(self.client.get_run(run_id).info.experiment_id))

    def set_tags(self, identity: ModelIdentity, tags: dict[str, str]) -> None:
        """Set tags on the model version and the LoggedModel; what was deleted, or has another name now, gets none.

        Raises:
            MlflowUnreachable: MLflow refuses or does not answer.
        """
        client, name, version, model_id = self.client, identity.name, identity.version, identity.model_id
        with self.talking():
            if version.isdigit() and self._asked(lambda: client.get_model_version(name, version)):
                for key, value in tags.items():
                    client.set_model_version_tag(name, version, key, value)
            if model_id and self._asked(lambda: client.get_logged_model(model_id)):
                client.set_logged_model_tags(model_id, tags)

    def training_inputs(self, identity: ModelIdentity) -> list["DatasetInput"]:
        """Return the datasets that the model's run names as its training data."""
        if not identity.run_id:
            return []
        run_id = identity.run_id
        inputs = self._asked(lambda: self.client.get_run(run_id).inputs.dataset_inputs) or []
        contexts = ("training", "train")
        return [i for i in inputs if any(t.key == "mlflow.data.context" and t.value in contexts for t in i.tags)]

    def publish(self, identity: ModelIdentity, folder: Path) -> str | None:
        """Log the files of ``folder`` beside the model and tag it with their place.

        Returns:
            The URI of the place, or None for a model that was logged in no run.

        Raises:
            MlflowUnreachable: MLflow refuses or does not answer.
        """
        if not identity.run_id:
            return None
        place = _place(identity)
        with self.talking():
            self.client.log_artifacts(identity.run_id, str(folder), place)
        uri = f"runs:/{identity.run_id}/{place}"
        self.set_tags(identity, {REFERENCE_TAG: uri})
        return uri

    @contextmanager
    def published(self, identity: ModelIdentity, file: str) -> Iterator[Path | None]:
        """Give a local copy of one published file of the model, or None where there is none."""
        uri = self.tags(identity).get(REFERENCE_TAG)
        if uri is None and identity.run_id:
            uri = f"runs:/{identity.run_id}/{_place(identity)}"
        with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
            yield None if uri is None else self.download(f"{uri}/{file}", Path(folder))

    def download(self, uri: str, folder: Path) -> Path | None:
        """Copy the artifact at ``uri`` into ``folder``; None where there is none.

        Raises:
            MlflowUnreachable: MLflow refuses or does not answer.
        """
        import mlflow

        return self._asked(lambda: Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))))

    def _asked(self, question: Callable[[], T]) -> T | None:
        """Return the answer, None where MLflow says that there is no such thing; a server that fails is an error."""
        from mlflow.exceptions import MlflowException

        try:
            return question()
        except FileNotFoundError:
            return None
        except MlflowException as error:
            if error.error_code in _ABSENT or _is_missing_file(error):
                return None
            raise self.unreachable(error) from error
        except OSError as error:
            raise self.unreachable(error) from error

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Turn what MLflow raises in the block into ``MlflowUnreachable``."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: BaseException) -> MlflowUnreachable:
        """Return the error that says so of the current tracking server."""
        return MlflowUnreachable(
            f"MLflow at {self.shown_uri} refused or did not answer: {first_line(error)}; "
            "check the server, or set MLFLOW_TRACKING_URI"
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters and without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")


def exact_uri(identity: ModelIdentity) -> str:
    """Return the URI that always means this version; an alias may move."""
    return f"models:/{identity.name}/{identity.version}" if identity.version.isdigit() else identity.uri


def _last_part(uri: str) -> str:
    path = Path(uri) if Path(uri).exists() else Path(urllib.parse.urlsplit(uri).path)
    return path.resolve().name if path.exists() else path.name


def _place(identity: ModelIdentity) -> str:
    return f"driftline/{identity.model_id}" if identity.model_id else "driftline"


def _is_missing_file(error: BaseException) -> bool:
    return isinstance(error.__cause__ or error.__context__, FileNotFoundError) or "No such artifact" in str(error)


def _utc_us(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * MICROSECONDS)
    except ValueError:
        return None
