"""Training rows as a model takes them, and its answers to them in the form in which the scorer would have answered."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.monitor.frames import TrainingDataMismatch, answer_columns
from driftline.store.payload.typed_cells import dtype_of
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.records import ModelIdentity

if TYPE_CHECKING:
    import pandas as pd

_PREDICT_ROWS = 10_000
# From which kinds of NumPy types a column is cast.
_CASTS_FROM = {ColumnType.DOUBLE: "iuf", ColumnType.FLOAT: "iuf", ColumnType.LONG: "iu", ColumnType.INTEGER: "iu"}


def is_one_tensor(identity: ModelIdentity) -> bool:
    """Return whether the model takes one tensor without a name, so that its columns have none."""
    schema = orjson.loads((identity.signature or {})["inputs"])
    return len(schema) == 1 and schema[0]["type"] == "tensor" and schema[0].get("name") is None


def require_inputs(identity: ModelIdentity, frame: "pd.DataFrame", inputs: list[PredictionColumn]) -> None:
    """Look for the inputs that the signature requires.

    Raises:
        TrainingDataMismatch: the data lack some.
    """
    schema = orjson.loads((identity.signature or {})["inputs"])
    needed = {str(spec["name"]) for spec in schema if spec.get("required", True) and spec.get("name") is not None}
    missing = [c.name for c in inputs if c.name in needed and c.name not in frame.columns]
    if missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise TrainingDataMismatch(
            f"the data lack the columns {shown} of the signature of {identity.name} version {identity.version}: "
            "give the data with the names that the model was trained on"
        )


def has_outputs(frame: "pd.DataFrame", outputs: list[PredictionColumn], names: set[str]) -> bool:
    """Return whether the data hold the model's answers: columns of all outputs' names, none of them an input's."""
    return bool(outputs) and all(c.name in frame.columns and c.name not in names for c in outputs)


def features_of(identity: ModelIdentity, frame: "pd.DataFrame", inputs: list[PredictionColumn]) -> "pd.DataFrame":
    """Return the columns that the model takes, their numbers as wide as the signature says: so the scorer casts."""
    if is_one_tensor(identity):
        kinds = {dtype.kind for dtype in frame.dtypes}
        if "O" in kinds:  # cells with a tensor's elements in a list, which MLflow takes apart
            return frame
        (spec,) = orjson.loads((identity.signature or {})["inputs"])
        return frame.astype(spec["tensor-spec"]["dtype"])
    present = [c for c in inputs if c.name in frame.columns]
    if not present:
        return frame
    cast = {c.name: dtype_of(c.type) for c in present if frame[c.name].dtype.kind in _CASTS_FROM.get(c.type, "")}
    return frame[[c.name for c in present]].astype(cast)


def answers(
    identity: ModelIdentity,
    model: Any,
    features: "pd.DataFrame",
    outputs: list[PredictionColumn],
    progress: Callable[[int], object],
) -> dict[str, NDArray[Any]]:
    """Return the model's outputs for the rows, by ``column_name``.

    Args:
        features: the rows as the model takes them, see ``features_of``; at most 10,000 are asked about at a time.
        progress: called with the number of rows that the model has answered since the last call.

    Raises:
        TrainingDataMismatch: the model fails on them.
    """
    parts: dict[str, list[NDArray[Any]]] = {c.column_name: [] for c in outputs}
    for start in range(0, len(features), _PREDICT_ROWS):
        batch = features[start : start + _PREDICT_ROWS]
        try:
            answer = model.predict(batch)
        except Exception as error:  # whatever the model's code raises; its words may hold values of the rows
            named = ", ".join(c.name for c in outputs)
            raise not_predicted(identity, error, f", or with columns named {named} that hold its answers") from error
        answered = answer_columns(identity.signature, outputs, answer, len(batch))
        for name, cells in answered.items():
            parts[name].append(cells)
        progress(len(batch))
    return {name: np.concatenate(cells) for name, cells in parts.items()}


def not_predicted(identity: ModelIdentity, error: Exception, otherwise: str) -> TrainingDataMismatch:
    """Return the error of a model that failed on rows of data, with what else could be given; no values of the rows."""
    return TrainingDataMismatch(
        f"{identity.name} version {identity.version} does not predict rows of these data "
        f"({type(error).__name__}): give them as the model takes them{otherwise}"
    )
