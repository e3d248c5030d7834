"""Training rows with the columns that the scorer records of a model whose columns are redacted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.store.payload.typed_cells import typed_column
from driftline.store.prediction_columns import PredictionColumn, prediction_columns
from driftline.store.records import ModelIdentity
from driftline.store.redaction import Redaction


def redacted_training(
    redaction: Redaction,
    identity: ModelIdentity,
    columns: tuple[PredictionColumn, ...],
    data: Mapping[str, NDArray[Any]],
) -> tuple[ModelIdentity, tuple[PredictionColumn, ...], dict[str, NDArray[Any]]]:
    """Return the model, its columns and their training values as the store knows them.

    Args:
        identity: the model as MLflow knows it; ``columns`` are those of its signature.
        data: the values by column name; columns that it lacks are left out.
    """
    known = redaction.identity(identity)
    before = {(c.side, c.name): data[c.column_name] for c in columns if c.column_name in data}
    kept = prediction_columns(known.signature)
    redacted: dict[str, NDArray[Any]] = {}
    for column in kept:
        if (column.side, column.name) not in before:
            continue
        values = before[column.side, column.name]
        if column.name in redaction.methods:
            cells = [redaction.cell(column.name, _plain(value)) for value in values]
            redacted[column.column_name] = np.asarray(typed_column(column.type, cells))
        else:
            redacted[column.column_name] = values
    return known, kept, redacted


def _plain(value: Any) -> Any:
    """Return a cell as JSON would have brought it."""
    return value.item() if isinstance(value, np.generic) else value
