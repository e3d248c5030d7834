"""Find and read the rows that a model was trained on.

In this order: a file named by the user; the tag ``driftline.training_data`` on the model version, the LoggedModel or
the run; the artifact ``monitoring/reference.parquet`` of the run; a dataset that the run names with the context
``training`` (autolog: ``train``) and whose source can be loaded.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from driftline.monitor.mlflow_link import MlflowLink, exact_uri, first_line
from driftline.store.errors import DriftlineError
from driftline.store.records import ModelIdentity
from driftline.store.tracking_server import shown

if TYPE_CHECKING:
    import pandas as pd

TRAINING_DATA_TAG = "driftline.training_data"
ARTIFACT = "monitoring/reference.parquet"


class TrainingDataMissing(DriftlineError):
    """The training data cannot be found or read."""


@dataclass(frozen=True)
class TrainingData:
    """Rows, and the place they came from in words (never with a password)."""

    frame: "pd.DataFrame"
    source: str


def find(link: MlflowLink, identity: ModelIdentity, file: Path | None = None) -> TrainingData:
    """Return the training data of a model.

    Raises:
        TrainingDataMissing: no such file, it is no table, or nothing loadable is known; says what was tried.
    """
    if file is not None:
        return TrainingData(read_table(file), str(file.absolute()))
    tried: list[str] = []
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        for source, path in _candidates(link, identity, Path(folder), tried):
            return TrainingData(read_table(path), source)
    raise TrainingDataMissing(
        f"no training data of {identity.name} version {identity.version} can be loaded from MLflow "
        f"({'; '.join(tried)}): name it with `driftline reference build {exact_uri(identity)} --data train.parquet`"
    )


def _candidates(
    link: MlflowLink, identity: ModelIdentity, folder: Path, tried: list[str]
) -> Iterator[tuple[str, Path]]:
    tagged = link.tags(identity).get(TRAINING_DATA_TAG)
    if tagged is None:
        tried.append(f"no tag {TRAINING_DATA_TAG}")
    elif (path := _fetch(link, tagged, folder)) is not None:
        yield shown(tagged), path
    else:
        tried.append(f"the tag {TRAINING_DATA_TAG} names {shown(tagged)}, where nothing lies")
    if identity.run_id:
        uri = f"runs:/{identity.run_id}/{ARTIFACT}"
        if (path := link.download(uri, folder)) is not None:
            yield uri, path
        tried.append(f"no artifact {ARTIFACT} in its run")
    else:
        tried.append("it was logged in no run")
    yield from _datasets(link, identity, tried)


def _datasets(link: MlflowLink, identity: ModelIdentity, tried: list[str]) -> Iterator[tuple[str, Path]]:
    from mlflow.data import get_source

    inputs = link.training_inputs(identity)
    if not inputs:
        tried.append("its run names no dataset with the context training")
    for each in inputs:
        name, kind = each.dataset.name, each.dataset.source_type
        try:
            loaded = get_source(each).load()
        except NotImplementedError:
            tried.append(f"dataset {name} has a source of type {kind}, which MLflow cannot load")
        except Exception as error:  # a source may be anywhere and fail in any way
            tried.append(f"dataset {name} cannot be loaded: {first_line(error)}")
        else:
            if isinstance(loaded, (str, Path)) and Path(loaded).exists():
                yield f"dataset {name} of run {identity.run_id}", Path(loaded)
            else:
                tried.append(f"dataset {name} of type {kind} loads as no file")


def _fetch(link: MlflowLink, place: str, folder: Path) -> Path | None:
    if "://" not in place and not place.startswith(("runs:/", "models:/")):
        return Path(place) if Path(place).exists() else None
    return link.download(place, folder)


def read_table(path: Path) -> "pd.DataFrame":
    """Return the rows of a Parquet file, a folder of them, or a CSV file (``.csv``, ``.csv.gz``).

    Raises:
        TrainingDataMissing: there is no such file, or it is no such table.
    """
    import pandas as pd

    if not path.exists():
        raise TrainingDataMissing(f"no file {path}: name the training data with --data FILE.parquet or FILE.csv")
    is_csv = path.name.lower().endswith((".csv", ".csv.gz"))
    try:
        frame = pd.read_csv(path) if is_csv else pd.read_parquet(path)
    except Exception as error:  # the readers raise many kinds
        raise TrainingDataMissing(
            f"{path} cannot be read as {'CSV' if is_csv else 'Parquet'}: {first_line(error)}; "
            "give a Parquet file, or a CSV file whose name ends in .csv"
        ) from error
    if frame.empty:
        raise TrainingDataMissing(f"{path} holds no rows: a reference needs the rows that the model was trained on")
    return frame


def read_importances(path: Path) -> dict[str, float]:
    """Return the JSON object of a file that says how much a model relies on each input.

    Raises:
        TrainingDataMissing: there is no such file, or it is no JSON object.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise TrainingDataMissing(
            f"{path} cannot be read as JSON ({type(error).__name__}): give an object of numbers, as "
            '`{"age": 0.7, "plan": 0.3}`'
        ) from error
    if not isinstance(content, dict):
        raise TrainingDataMissing(f'{path} holds no JSON object: give one as `{{"age": 0.7, "plan": 0.3}}`')
    return content
