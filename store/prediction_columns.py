"""Which typed columns the rows of a model have: signature in, columns out, the same for everyone who asks.

The prediction table, the parsed bodies, the reference and the profiles all speak of these columns by ``column_name``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import orjson


class ColumnType(StrEnum):
    """What one cell is. JSON cells hold the text of a JSON value: arrays, objects, tensors, anything untyped."""

    DOUBLE = "double"
    FLOAT = "float"
    LONG = "long"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    DATETIME = "datetime"  # microseconds since the epoch
    BINARY = "binary"
    JSON = "json"


Side = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class PredictionColumn:
    """One typed column of a prediction table.

    Attributes:
        side: input or output of the model.
        name: as the signature says it; a nameless schema has ``"0"``, ``"1"`` ..., a single nameless output
            ``"prediction"``.
        column_name: unique in the table, lower case, ``in_`` or ``out_`` and at most 60 ASCII characters.
        type: of its cells.
    """

    side: Side
    name: str
    column_name: str
    type: ColumnType


_TENSOR_TYPES = {
    "float64": ColumnType.DOUBLE,
    "float32": ColumnType.FLOAT,
    "float16": ColumnType.FLOAT,
    "int64": ColumnType.LONG,
    "int32": ColumnType.INTEGER,
    "int16": ColumnType.INTEGER,
    "int8": ColumnType.INTEGER,
    "uint8": ColumnType.INTEGER,
    "uint16": ColumnType.INTEGER,
    "uint32": ColumnType.LONG,
    "bool": ColumnType.BOOLEAN,
    "str": ColumnType.STRING,
    "object": ColumnType.STRING,
}
# A tensor output of this many columns at most (class probabilities) becomes one column each.
MAX_OUTPUT_TENSOR_COLUMNS = 64


def prediction_columns(signature: dict[str, Any] | None) -> tuple[PredictionColumn, ...]:
    """Return the columns of a model's rows, inputs first, each side in the signature's order.

    Args:
        signature: MLflow's ``ModelSignature.to_dict()``, whose ``inputs`` and ``outputs`` are JSON strings, or None.
            A side without a schema has one JSON column (``in_row``, ``out_prediction``).
    """
    taken: set[str] = set()
    columns = []
    for side in ("input", "output"):
        raw = (signature or {}).get(f"{side}s")
        for name, type_ in _side(orjson.loads(raw) if raw else None, side):
            columns.append(PredictionColumn(side, name, _column_name(side, name, taken), type_))
    return tuple(columns)


def _side(schema: list[dict[str, Any]] | None, side: str) -> Iterator[tuple[str, ColumnType]]:
    if not schema:
        yield ("prediction" if side == "output" else "row"), ColumnType.JSON
        return
    for position, spec in enumerate(schema):
        name = spec.get("name")
        if name is None:
            name = "prediction" if side == "output" and len(schema) == 1 else str(position)
        if spec["type"] != "tensor":
            yield str(name), _scalar(spec["type"])
            continue
        dtype = _TENSOR_TYPES.get(spec["tensor-spec"]["dtype"], ColumnType.JSON)
        shape = spec["tensor-spec"]["shape"]
        if side == "output" and len(shape) == 1:
            yield str(name), dtype
        elif side == "output" and len(shape) == 2 and 0 < shape[1] <= MAX_OUTPUT_TENSOR_COLUMNS:
            for i in range(shape[1]):
                yield f"{name}_{i}", dtype
        else:
            yield str(name), ColumnType.JSON


def _scalar(type_: str) -> ColumnType:
    try:
        return ColumnType(type_)
    except ValueError:
        return ColumnType.JSON  # array, object, map, any


def _column_name(side: str, name: str, taken: set[str]) -> str:
    prefix = "in_" if side == "input" else "out_"
    stem = prefix + (re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "column")[:50]
    candidate, i = stem, 2
    while candidate in taken:
        candidate, i = f"{stem}_{i}", i + 1
    taken.add(candidate)
    return candidate
