"""Captured rows as MLflow's scoring server would have handed them to a model.

The cells go back into the JSON that a client could have sent, and from there through the installed MLflow's own parser,
so that names, order and dtypes are what its server makes of them.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import ColumnType, PredictionColumn

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Types whose cell cannot be null in a request: where one is missing, the request did not have the column.
_NEVER_NULL = (ColumnType.LONG, ColumnType.INTEGER, ColumnType.BOOLEAN, ColumnType.BINARY)


@dataclass(frozen=True, slots=True)
class CapturedRows:
    """Rows of one model's requests.

    Attributes:
        columns: the inputs of the model that answered them.
        cells: typed cells by ``column_name``.
        rows: how many.
    """

    columns: Sequence[PredictionColumn]
    cells: Mapping[str, Column]
    rows: int

    def take(self, chosen: NDArray[np.int64]) -> "CapturedRows":
        """Return the rows at these places."""
        cells = {c.column_name: self.cells[c.column_name][chosen] for c in self.columns}
        return CapturedRows(self.columns, cells, len(chosen))


def alike(captured: CapturedRows) -> Iterator[NDArray[np.int64]]:
    """Yield the places of rows whose requests had the same columns: rows that lack one may not stand beside others."""
    holes = []
    for column in captured.columns:
        cells = captured.cells[column.column_name]
        if column.type in _NEVER_NULL and cells.dtype == np.object_:
            holes.append(np.array([cell is None for cell in cells.tolist()]))
    if not holes:
        yield np.arange(captured.rows)
        return
    _, group = np.unique(np.stack(holes, axis=1), axis=0, return_inverse=True)
    for number in range(int(group.max(initial=-1)) + 1):
        yield np.flatnonzero(group.reshape(-1) == number)


def served_input(captured: CapturedRows, signature: Mapping[str, Any] | None) -> Any:
    """Return what MLflow's server would give to ``predict`` of a model with this signature.

    Args:
        captured: rows that are ``alike``.
        signature: the asked model's, as in ``ModelIdentity``.
    """
    from mlflow.pyfunc.scoring_server import infer_and_parse_data
    from mlflow.types import Schema

    said = (signature or {}).get("inputs")
    schema = Schema.from_json(said) if said else None
    return infer_and_parse_data(_body(captured, schema), schema)


def _body(captured: CapturedRows, schema: Any) -> dict[str, Any]:
    """Return the request's JSON, in the form that fits the asked model."""
    cells = {c.name: _json_cells(c, captured.cells[c.column_name]) for c in captured.columns}
    present = {
        name: values
        for (name, values), column in zip(cells.items(), captured.columns, strict=True)
        if column.type not in _NEVER_NULL or None not in values[:1]
    }
    if len(captured.columns) == 1 and captured.columns[0].type is ColumnType.JSON and set(cells) <= {"row", "0"}:
        (rows,) = cells.values()  # a request without named columns: records, or the rows of a tensor
        if all(type(row) is dict for row in rows):
            return {"dataframe_records": rows}
        return {"inputs" if schema is not None and schema.is_tensor_spec() else "instances": rows}
    if schema is not None and schema.is_tensor_spec() and schema.has_input_names():
        return {"inputs": {name: present[name] for name in schema.input_names() if name in present}}
    named = schema is not None and schema.has_input_names()
    names = [name for name in schema.input_names() if name in present] if named else list(present)
    rows = list(map(list, zip(*(present[name] for name in names), strict=True))) or [[]] * captured.rows
    return {"dataframe_split": {"columns": names, "data": rows}}


def _iso(at_us: int) -> str:
    """Return a time with all six digits: pandas wants a column's times in one form."""
    return (_EPOCH + timedelta(microseconds=at_us)).replace(tzinfo=None).isoformat(timespec="microseconds")


def _json_cells(column: PredictionColumn, cells: Column) -> list[Any]:
    values = cells.tolist()
    if column.type in (ColumnType.DOUBLE, ColumnType.FLOAT):
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    if column.type is ColumnType.JSON:
        return [None if value is None else orjson.loads(value) for value in values]
    if column.type is ColumnType.DATETIME:
        return [None if value is None else _iso(value) for value in values]
    if column.type is ColumnType.BINARY:
        return [None if value is None else base64.b64encode(value).decode() for value in values]
    return list(values)
