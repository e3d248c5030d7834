"""Training rows as the typed columns of a model: the same cells that the loader would store of them."""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from driftline.store.errors import DriftlineError
from driftline.store.payload.answers import AnswerRows
from driftline.store.payload.typed_cells import CellMismatch, dtype_of, typed_column
from driftline.store.prediction_columns import ColumnType, PredictionColumn

if TYPE_CHECKING:
    import pandas as pd

_FLOATS = (ColumnType.DOUBLE, ColumnType.FLOAT)


class TrainingDataMismatch(DriftlineError):
    """The data are not what the model's signature says."""


def typed_columns(frame: "pd.DataFrame", columns: Sequence[PredictionColumn]) -> dict[str, NDArray[Any]]:
    """Return the frame's cells by column name; columns that the frame lacks are left out.

    Raises:
        TrainingDataMismatch: a column cannot be held by the signature's type.
    """
    typed = {}
    for column in columns:
        if column.name not in frame.columns:
            continue
        series = frame[column.name]
        if series.ndim != 1:
            raise TrainingDataMismatch(
                f"the data have {series.shape[1]} columns named {column.name}: rename all but one"
            )
        try:
            typed[column.column_name] = _typed(series, column.type)
        except CellMismatch as error:
            raise TrainingDataMismatch(
                f"column {column.name} of the data cannot be {column.type.value}, which the model's signature says "
                f"({error}): give the data that the model was trained on, with its types"
            ) from error
    return typed


def tensor_column(frame: "pd.DataFrame", column: PredictionColumn) -> dict[str, NDArray[Any]]:
    """Return the rows of the frame as the one nameless tensor that a model takes."""
    return {column.column_name: typed_column(column.type, list(frame.to_numpy()))}


def answer_columns(
    signature: dict[str, Any] | None, outputs: Sequence[PredictionColumn], answer: Any, rows: int
) -> dict[str, NDArray[Any]]:
    """Return what the model answered as columns, by the way of the JSON that the scorer would have sent.

    Raises:
        TrainingDataMismatch: the answer does not hold the outputs that the signature says.
    """
    from mlflow.pyfunc.scoring_server import predictions_to_json

    text = io.StringIO()
    try:
        predictions_to_json(answer, text)
        cells = zip(*AnswerRows(signature, outputs).rows(json.loads(text.getvalue())["predictions"], rows), strict=True)
        return {c.column_name: typed_column(c.type, values) for c, values in zip(outputs, cells, strict=True)}
    except (CellMismatch, TypeError, ValueError) as error:
        raise TrainingDataMismatch(
            f"the model's answer to the data is not what its signature says ({error}): correct the signature's outputs"
        ) from error


def _typed(series: "pd.Series[Any]", type_: ColumnType) -> NDArray[Any]:
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiub" and type_ in _FLOATS:
        with np.errstate(over="ignore"):
            return np.asarray(series, np.float64).astype(dtype_of(type_))
    return typed_column(type_, series.tolist())
