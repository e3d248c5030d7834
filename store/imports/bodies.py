"""Bodies of other servers as MLflow's server would take and give them.

What MLflow takes already stays byte for byte. The rest becomes ``dataframe_split`` under the signature's names, or
``inputs`` where there are none: CSV without a header, bare lists, TensorFlow's ``instances`` in lists (V1), the tensors
of the open inference protocol (V2), and Seldon's ``data``. Answers become ``{"predictions": ...}``.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import orjson

from driftline.store.imports.call import UnreadableEvent
from driftline.store.payload.parsed_batch import loads

JSON, CSV = b"application/json", b"text/csv"
_PARQUET = b"application/vnd.apache.parquet"


def signature_names(signature: dict[str, Any] | None) -> tuple[str, ...]:
    """Return the names of the signature's columns; empty where it has none, or tensors."""
    raw = (signature or {}).get("inputs")
    specs = (orjson.loads(raw) if raw else None) or []
    return tuple(spec["name"] for spec in specs if spec.get("name") and spec.get("type") != "tensor")


@contextmanager
def _unreadable() -> Iterator[None]:
    """Have a body that breaks its own form say so: it is set aside, and stops nothing behind it."""
    try:
        yield
    except (csv.Error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise UnreadableEvent("a body breaks the form that it begins in") from None


@_unreadable()
def request_body(content_type: bytes, body: bytes, names: Sequence[str]) -> tuple[bytes, bytes]:
    """Return content type and body of the request.

    Args:
        names: of the model's columns; empty where they are not known.

    Raises:
        UnreadableEvent: it is none of the forms.
    """
    mime = content_type.split(b";")[0].strip().lower()
    if mime == _PARQUET:
        return mime, body
    if mime == CSV:
        return CSV, _with_header(body, names)
    document = _document(body)
    if isinstance(document, dict) and "jsonData" in document:
        document = document["jsonData"]
        body = orjson.dumps(document)
    return JSON, _as_mlflow_takes_it(document, names) or body


def _as_mlflow_takes_it(document: Any, names: Sequence[str]) -> bytes | None:
    """Return the body, None where it is one of MLflow's own."""
    made: bytes | None = None
    if isinstance(document, list):
        made = _rows(document, names) if _is_table(document) else orjson.dumps({"inputs": document})
    elif not isinstance(document, dict):
        raise UnreadableEvent("a request is neither an object nor a list")
    elif isinstance(document.get("data"), dict):
        seldon = _seldon_rows(document["data"])
        made = _rows(seldon["rows"], seldon["names"] or names)
    elif _are_tensors(document.get("inputs")):
        made = _from_tensors(document["inputs"], names)
    elif _is_table(document.get("instances")) and names:
        made = _rows(document["instances"], names)
    return made


@_unreadable()
def answer_body(content_type: bytes, body: bytes) -> bytes:
    """Return the body of the answer.

    Raises:
        UnreadableEvent: it is none of the forms.
    """
    if content_type.split(b";")[0].strip().lower() == CSV:
        rows = [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(_text(body))) if row]
        return orjson.dumps({"predictions": [row[0] if len(row) == 1 else row for row in rows]})
    document = _document(body)
    if isinstance(document, dict) and "predictions" in document:
        return body
    if isinstance(document, dict) and _are_tensors(document.get("outputs")):
        return orjson.dumps({"predictions": _predictions(document["outputs"])})
    if isinstance(document, dict) and isinstance(document.get("data"), dict):
        rows = _seldon_rows(document["data"])["rows"]
        return orjson.dumps({"predictions": [row[0] if type(row) is list and len(row) == 1 else row for row in rows]})
    if isinstance(document, dict) and "jsonData" in document:
        document = document["jsonData"]
    return orjson.dumps({"predictions": document})


def _document(body: bytes) -> Any:
    try:
        return loads(body)
    except (ValueError, RecursionError):
        raise UnreadableEvent("a body says it is JSON, and is not") from None


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise UnreadableEvent("a body says it is CSV, and is not UTF-8") from None


def _with_header(body: bytes, names: Sequence[str]) -> bytes:
    first = next(csv.reader(io.StringIO(_text(body))), [])
    if not names or set(names) <= {cell.strip() for cell in first}:
        return body
    if len(first) != len(names):
        raise UnreadableEvent(f"a line of CSV has {len(first)} values, the model {len(names)} inputs")
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(names)
    return header.getvalue().encode() + body


def _cell(text: str) -> Any:
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, list) for row in value)


def _rows(rows: list[Any], names: Sequence[str]) -> bytes:
    if not names:
        return orjson.dumps({"inputs": rows})
    if any(type(row) is not list or len(row) != len(names) for row in rows):
        raise UnreadableEvent(f"a row does not hold the model's {len(names)} inputs")
    return orjson.dumps({"dataframe_split": {"columns": list(names), "data": rows}})


def _are_tensors(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(t, dict) and "shape" in t for t in value)


def _tensor(tensor: dict[str, Any]) -> list[Any]:
    """Return a tensor's values as nested lists of its shape."""
    shape, data = tensor["shape"], tensor.get("data")
    if not isinstance(data, list):
        raise UnreadableEvent("a tensor has no data in its JSON: binary tensors are not read")
    flat = data
    while flat and isinstance(flat[0], list):
        flat = [cell for part in flat for cell in part]
    if not isinstance(shape, list) or not shape or math.prod(shape) != len(flat):
        raise UnreadableEvent("a tensor's data does not have its shape")
    for length in reversed(shape[1:]):
        flat = [flat[start : start + length] for start in range(0, len(flat), length)] if length else []
    return flat


def _from_tensors(tensors: list[dict[str, Any]], names: Sequence[str]) -> bytes:
    if len(tensors) == 1:
        rows = _tensor(tensors[0])
        if names and _is_table(rows) and len(rows[0]) == len(names):
            return _rows(rows, names)
        if not names:
            return orjson.dumps({"inputs": rows})
    columns = {str(tensor.get("name")): _column(_tensor(tensor)) for tensor in tensors}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise UnreadableEvent("tensors of one request have different lengths")
    data = [list(row) for row in zip(*columns.values(), strict=True)]
    return orjson.dumps({"dataframe_split": {"columns": list(columns), "data": data}})


def _column(cells: list[Any]) -> list[Any]:
    return [cell[0] if type(cell) is list and len(cell) == 1 else cell for cell in cells]


def _predictions(tensors: list[dict[str, Any]]) -> list[Any]:
    columns = [_column(_tensor(tensor)) for tensor in tensors]
    if len(columns) == 1:
        return columns[0]
    names = [str(tensor.get("name", i)) for i, tensor in enumerate(tensors)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=False)]


def _seldon_rows(data: dict[str, Any]) -> dict[str, Any]:
    """Return names and rows of Seldon's ``data``."""
    if isinstance(data.get("ndarray"), list):
        return {"names": data.get("names"), "rows": data["ndarray"]}
    tensor = data.get("tensor")
    if isinstance(tensor, dict):
        return {
            "names": data.get("names"),
            "rows": _tensor({"shape": tensor.get("shape"), "data": tensor.get("values")}),
        }
    raise UnreadableEvent("Seldon's data is neither an ndarray nor a tensor")
