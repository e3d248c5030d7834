"""Bodies in, typed columns out: what the model received after MLflow's coercion, and what it answered.

The one module that calls MLflow's parser. Ordinary JSON goes the fast way (``fast_rows``); everything unusual goes
through the functions of the installed MLflow that the scoring server itself calls, so both give the same cells. MLflow
is imported when the first unusual body arrives.
"""

import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.answers import AnswerRows
from driftline.store.fast_rows import FastRows, Row, fast_column
from driftline.store.prediction_columns import ColumnType, PredictionColumn, prediction_columns
from driftline.store.records import Invocation, ModelIdentity
from driftline.store.typed_cells import CellMismatch, Column, json_text, missing_column, typed_column

_JSON = b"application/json"
_CSV = b"text/csv"


@dataclass(slots=True)
class ParsedBatch:
    """The prediction rows of a batch of invocations.

    Attributes:
        columns: typed columns by ``column_name``, all of one length.
        owners: for each row, the position of its invocation in the batch.
        row_index: for each row, its place in its request.
        errors: position of an invocation -> why it has no rows although its answer was 2xx.
        error_codes: position -> MLflow's ``error_code`` of an answer that was not.
    """

    columns: dict[str, Column]
    owners: NDArray[np.int64]
    row_index: NDArray[np.int32]
    errors: dict[int, str] = field(default_factory=dict)
    error_codes: dict[int, str] = field(default_factory=dict)


def parse_batch(identity: ModelIdentity, invocations: Sequence[Invocation]) -> ParsedBatch:
    """Return the rows of ``invocations``, all of the model ``identity``."""
    parser = BodyParser(identity.signature, prediction_columns(identity.signature))
    return parser.parse(
        [i.status for i in invocations],
        [i.content_type for i in invocations],
        [i.request for i in invocations],
        [i.response for i in invocations],
    )


class BodyParser:
    """Parses the bodies of one model; made once, used for every batch."""

    def __init__(self, signature: dict[str, Any] | None, columns: Sequence[PredictionColumn]) -> None:
        self._inputs = [c for c in columns if c.side == "input"]
        self._outputs = [c for c in columns if c.side == "output"]
        self._fast = FastRows.of(signature, self._inputs)
        self._answers = AnswerRows(signature, self._outputs)
        self._mlflow = _MlflowParser(signature, self._inputs)

    def parse(
        self,
        statuses: Sequence[int],
        content_types: Sequence[bytes],
        requests: Sequence[bytes],
        responses: Sequence[bytes],
    ) -> ParsedBatch:
        """Return the rows of the batch; never raises for what a body holds."""
        errors: dict[int, str] = {}
        codes: dict[int, str] = {}
        unusual: list[int] = []
        ids: list[int] = []
        counts: list[int] = []
        asked: list[Row] = []
        answered: list[Row] = []
        for i, (status, content_type, request, response) in enumerate(
            zip(statuses, content_types, requests, responses, strict=True)
        ):
            if not 200 <= status < 300:
                if code := _error_code(response):
                    codes[i] = code
                continue
            is_json = self._fast is not None and content_type.startswith(_JSON)
            taken = self._fast_rows(request, response) if is_json else None
            if taken is None:
                unusual.append(i)
                continue
            ids.append(i)
            counts.append(len(taken[0]))
            asked.extend(taken[0])
            answered.extend(taken[1])
        owners = np.repeat(np.array(ids, np.int64), counts)
        parts, refused = self._fast_columns(asked, answered, owners)
        unusual.extend(sorted(refused))
        owners = owners[~np.isin(owners, list(refused))] if refused else owners
        owned = [owners]
        for i in unusual:
            try:
                part, rows = self._unusual(content_types[i], requests[i], responses[i])
            except Exception as error:  # a body that was answered is never worth less than its invocation
                errors[i] = _reason(error)
                continue
            parts.append(part)
            owned.append(np.full(rows, i, np.int64))
        names = [c.column_name for c in (*self._inputs, *self._outputs)]
        columns = {n: parts[0][n] if len(parts) == 1 else np.concatenate([part[n] for part in parts]) for n in names}
        all_owners = np.concatenate(owned)
        return ParsedBatch(columns, all_owners, _row_index(all_owners), errors, codes)

    def _fast_rows(self, request: bytes, response: bytes) -> tuple[list[Row], list[Row]] | None:
        assert self._fast is not None
        try:
            try:
                document, answer = orjson.loads(request), orjson.loads(response)
            except orjson.JSONDecodeError:
                document, answer = _loads(request), _loads(response)
            asked = self._fast.rows(document)
            return None if asked is None else (asked, self._answers.rows(answer["predictions"], len(asked)))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def _fast_columns(
        self, asked: list[Row], answered: list[Row], owners: NDArray[np.int64]
    ) -> tuple[list[dict[str, Column]], set[int]]:
        """Return the columns of the rows that stay, and the invocations that do not."""
        refused: set[int] = set()
        while True:
            part: dict[str, Column] = {}
            odd: set[int] = set()
            for columns, rows in ((self._inputs, asked), (self._outputs, answered)):
                cells = list(zip(*rows, strict=True)) or [()] * len(columns)
                for column, values in zip(columns, cells, strict=True):
                    if column.type is ColumnType.JSON:
                        part[column.column_name] = typed_column(column.type, values)
                        continue
                    made = fast_column(column.type, values, owners)
                    if isinstance(made, set):
                        odd |= made
                    else:
                        part[column.column_name] = made
            if not odd:
                return [part], refused
            refused |= odd
            keep = ~np.isin(owners, list(odd))
            asked = [row for row, kept in zip(asked, keep, strict=True) if kept]
            answered = [row for row, kept in zip(answered, keep, strict=True) if kept]
            owners = owners[keep]

    def _unusual(self, content_type: bytes, request: bytes, response: bytes) -> tuple[dict[str, Column], int]:
        columns, rows, wrapped = self._mlflow.columns(content_type, request)
        document = _loads(response)
        predictions = document["predictions"] if wrapped else document
        cells = list(zip(*self._answers.rows(predictions, rows), strict=True)) or [()] * len(self._outputs)
        for column, values in zip(self._outputs, cells, strict=True):
            columns[column.column_name] = typed_column(column.type, values)
        return columns, rows


class _MlflowParser:
    """What the scoring server does to a body before ``predict``, by MLflow's own functions."""

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
                cells = [(json_text(row)) for row in _plain_rows(received, rows)]
                return {self._inputs[0].column_name: typed_text(cells)}, rows, wrapped
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


def typed_text(cells: Sequence[str]) -> Column:
    """Return ready texts as a column."""
    column = np.empty(len(cells), np.object_)
    column[:] = cells
    return column


def _loads(body: bytes) -> Any:
    """Parse JSON as Python does; orjson first, which refuses what is rare (NaN, UTF-16, lone surrogates)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def _error_code(response: bytes) -> str | None:
    try:
        code = orjson.loads(response).get("error_code")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return code[:200] if isinstance(code, str) else None


def _reason(error: Exception) -> str:
    """Say what went wrong without a value of the request."""
    if isinstance(error, CellMismatch):
        return str(error)
    return f"the body could not be turned into rows ({type(error).__name__})"


def _row_index(owners: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number the rows of each run of equal owners from 0."""
    if not len(owners):
        return np.zeros(0, np.int32)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    lengths = np.diff(np.r_[starts, len(owners)])
    return (np.arange(len(owners)) - np.repeat(starts, lengths)).astype(np.int32)


def _row_count(received: Any) -> int:
    if hasattr(received, "shape"):
        return int(received.shape[0]) if received.shape else 1
    if isinstance(received, dict):
        first = next(iter(received.values()), None)
        return _row_count(first) if hasattr(first, "shape") else 1
    return len(received) if isinstance(received, list) else 1


def _plain_rows(received: Any, rows: int) -> list[Any]:
    if hasattr(received, "to_dict"):
        return list(received.to_dict(orient="records"))
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
