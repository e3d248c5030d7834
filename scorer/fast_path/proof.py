"""What MLflow makes of a request, asked of the installed MLflow when a model is loaded.

MLflow's coercions change between its releases and with those of pandas and NumPy. So before a form of request is taken,
a few bodies in that form go through MLflow's own scoring function, with a recorder in the place of the model, and the
frame, the parameters and the context that the recorder saw must equal ours to the bit.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from driftline.scorer.fast_path.reader import Form
from driftline.store.prediction_columns import ColumnType

_CELLS: dict[ColumnType, list[Any]] = {
    ColumnType.DOUBLE: [0.1, -7, 2**53 + 1, -0.0],
    ColumnType.FLOAT: [0.1, -7, 2**53, -0.0],
    ColumnType.LONG: [-1, 2**62, 0, 7],
    ColumnType.INTEGER: [-1, 2**31 - 1, 0, 7],
    ColumnType.BOOLEAN: [True, False, False, True],
    ColumnType.STRING: ["a", "", "ä☃", "1"],
}
_NULLABLE = (ColumnType.DOUBLE, ColumnType.FLOAT)
SAMPLE_ANSWERS: list[Any] = [
    np.array([0.1, 1e16, 1e-5, 5e-324, -0.0, np.nan, np.inf]),
    np.array([[0.1, 1]], np.float32),
    np.array([1, -(2**63)]),
    np.array(["ä", "\u2028"]),
    np.array([True]),
    pd.DataFrame({"x": [1, 2], 0: [0.5, np.nan]}),
    pd.Series([1.5], name="y"),
    ["a", 1, None, 1e300],
]


def sample_bodies(form: Form, types: Mapping[str, ColumnType]) -> Iterator[bytes]:
    """Yield requests in this form with one row and, where the form has more, with four and nulls among them."""
    rows = [{name: _CELLS[type_][i] for name, type_ in types.items()} for i in range(4)]
    yield _body(form, rows[:1])
    if form not in (Form.INPUTS_SCALARS, Form.INSTANCES_SCALARS):
        nullable = (*_NULLABLE, ColumnType.STRING) if form in (Form.SPLIT, Form.RECORDS) else _NULLABLE
        rows[1] |= {name: None for name, type_ in types.items() if type_ in nullable}
        yield _body(form, rows)


def _body(form: Form, rows: list[dict[str, Any]]) -> bytes:
    field = form.value.split(",")[0]
    value: Any = rows
    if form is Form.SPLIT:
        value = {
            "columns": list(rows[0]),
            "index": [5, *range(1, len(rows))],
            "data": [list(row.values()) for row in rows],
        }
    elif form in (Form.INPUTS_COLUMNS, Form.INSTANCES_COLUMNS):
        value = {name: [row[name] for row in rows] for name in rows[0]}
    elif form in (Form.INPUTS_SCALARS, Form.INSTANCES_SCALARS):
        value = rows[0]
    return json.dumps({field: value}).encode()


def same_frames(theirs: Any, ours: pd.DataFrame) -> bool:
    """Tell whether a model could not tell these frames apart."""
    return (
        type(theirs) is pd.DataFrame
        and _same_index(theirs.index, ours.index)
        and _same_index(theirs.columns, ours.columns)
        and list(theirs.dtypes) == list(ours.dtypes)
        and all(_same_cells(theirs.iloc[:, i], ours.iloc[:, i]) for i in range(theirs.shape[1]))
        and str(theirs.to_numpy().flags) == str(ours.to_numpy().flags)
    )


def _same_index(theirs: pd.Index, ours: pd.Index) -> bool:
    return type(theirs) is type(ours) and theirs.dtype == ours.dtype and theirs.tolist() == ours.tolist()


def _same_cells(theirs: pd.Series, ours: pd.Series) -> bool:
    if isinstance(theirs.dtype, np.dtype) and theirs.dtype != object:
        return bool(theirs.to_numpy().tobytes() == ours.to_numpy().tobytes())
    return _told(theirs.tolist()) == _told(ours.tolist())


def _told(cells: Sequence[Any]) -> list[tuple[type, str]]:
    return [(type(cell), repr(cell)) for cell in cells]
