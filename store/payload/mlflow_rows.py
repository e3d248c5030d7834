"""What the scoring server does to a body before ``predict``: the one module that calls MLflow's parser.

The functions are those of the installed MLflow that its scoring server calls itself, so the columns are what the model
received. MLflow is imported with the first body that comes here.
"""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from driftline.store.payload.typed_cells import Column, missing_column, typed_column
from driftline.store.prediction_columns import ColumnType, PredictionColumn

_JSON = b"application/json"
_CSV = b"text/csv"


class MlflowRows:
    """Reads the bodies of one model by MLflow's own functions."""

    def __init__(self, signature: dict[str, Any] | None, inputs: Sequence[PredictionColumn]) -> None:
        self._signature = signature or {}
        self._inputs = inputs
        self._metadata: _Metadata | None = None

    def columns(self, content_type: bytes, body: bytes) -> tuple[dict[str, Column], int, bool]:
        """Return the input columns, the number of rows, and whether the answer is wrapped in ``predictions``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas speaks of single values
            received, wrapped = self._received(content_type, body)
            rows = _row_count(received)
            if not self._signature.get("inputs"):
                (column,) = self._inputs
                return {column.column_name: typed_column(column.type, _plain_rows(received, rows))}, rows, wrapped
            return (
                {
                    column.column_name: self._column(column, position, received, rows)
                    for position, column in enumerate(self._inputs)
                },
                rows,
                wrapped,
            )

    def _received(self, content_type: bytes, body: bytes) -> tuple[Any, bool]:
        from mlflow.models.utils import _enforce_schema
        from mlflow.pyfunc import scoring_server

        if self._metadata is None:
            self._metadata = _Metadata(self._signature)
        schema = self._metadata.inputs
        mime = content_type.split(b";")[0].strip()
        wrapped = True
        if mime == _JSON:
            parsed = scoring_server._parse_json_data(body, self._metadata, schema)
            data = parsed.data
            wrapped = not parsed.is_unified_llm_input
        elif mime == _CSV:
            data = scoring_server.parse_csv_input(io.StringIO(body.decode()), schema)
        else:
            data = scoring_server.parse_parquet_input(io.BytesIO(body))
        if schema is not None and not self._metadata.from_type_hint:
            data = _enforce_schema(data, schema)
        return data, wrapped

    def _column(self, column: PredictionColumn, position: int, received: Any, rows: int) -> Column:
        import pandas as pd

        if isinstance(received, pd.DataFrame):
            if column.name in received.columns:
                return _series_column(column.type, received[column.name])
            if position < received.shape[1] and not any(isinstance(name, str) for name in received.columns):
                return _series_column(column.type, received.iloc[:, position])
            return missing_column(column.type, rows)
        if isinstance(received, dict):
            cells = received.get(column.name)
            return missing_column(column.type, rows) if cells is None else typed_column(column.type, _listed(cells))
        return typed_column(column.type, _listed(received))


class _Metadata:
    """The part of a model's metadata that MLflow's parser asks for."""

    def __init__(self, signature: dict[str, Any]) -> None:
        from mlflow.types import ParamSchema, Schema

        self.inputs = Schema.from_json(signature["inputs"]) if signature.get("inputs") else None
        self.params = ParamSchema.from_json(signature["params"]) if signature.get("params") else None
        self.from_type_hint = bool(signature.get("is_signature_from_type_hint"))

    def get_params_schema(self) -> Any:
        return self.params

    def _is_signature_from_type_hint(self) -> bool:
        return self.from_type_hint


def _row_count(received: Any) -> int:
    if hasattr(received, "shape"):
        return int(received.shape[0]) if received.shape else 1
    if isinstance(received, dict):
        first = next(iter(received.values()), None)
        return _row_count(first) if hasattr(first, "shape") else 1
    return len(received) if isinstance(received, list) else 1


def _plain_rows(received: Any, rows: int) -> list[Any]:
    if hasattr(received, "to_dict"):
        return list(received.to_dict(orient="records")) or [{}] * rows  # a frame may have rows and no columns
    if isinstance(received, dict) and all(hasattr(cells, "shape") for cells in received.values()):
        listed = {name: _listed(cells) for name, cells in received.items()}
        if all(len(cells) == rows for cells in listed.values()):
            return [{name: cells[i] for name, cells in listed.items()} for i in range(rows)]
    return _listed(received)


def _listed(cells: Any) -> list[Any]:
    if isinstance(cells, np.ndarray):
        return list(cells) if cells.ndim else [cells.item()]
    return cells if isinstance(cells, list) else [cells]


def _series_column(type_: ColumnType, series: Any) -> Column:
    cells = series.tolist()
    if type_ is ColumnType.BINARY:  # text here was not decoded for the model either
        cells = [cell.encode() if isinstance(cell, str) else cell for cell in cells]
    return typed_column(type_, cells)
