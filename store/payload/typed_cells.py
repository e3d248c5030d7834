"""Python cells in, typed NumPy columns out: the one meaning of a stored value.

Numeric columns without missing cells have their own dtype; with missing cells floats hold NaN, all others are object
arrays with None. Text, bytes and JSON are object arrays. Times are microseconds since the epoch, truncated.

Text is stored with U+0000 as U+2400 (its visible picture) and lone surrogates as U+FFFD: PostgreSQL can hold neither,
and both engines shall hold the same.
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType

Column = NDArray[Any]

_DTYPES: dict[ColumnType, type[np.generic]] = {
    ColumnType.DOUBLE: np.float64,
    ColumnType.FLOAT: np.float32,
    ColumnType.LONG: np.int64,
    ColumnType.INTEGER: np.int32,
    ColumnType.BOOLEAN: np.bool_,
    ColumnType.DATETIME: np.int64,
}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NANOSECONDS = 1000


class CellMismatch(ValueError):
    """A cell is not what its column's type can hold; the message names types, never values."""


def dtype_of(type_: ColumnType) -> np.dtype[Any]:
    """Return the dtype of a column of ``type_`` without missing cells."""
    return np.dtype(_DTYPES.get(type_, np.object_))


def missing_column(type_: ColumnType, rows: int) -> Column:
    """Return a column whose cells are all missing."""
    if type_ in (ColumnType.DOUBLE, ColumnType.FLOAT):
        return np.full(rows, np.nan, _DTYPES[type_])
    return np.full(rows, None, np.object_)


def typed_column(type_: ColumnType, cells: Sequence[Any]) -> Column:
    """Return the column of ``cells``.

    Raises:
        CellMismatch: a cell cannot be held by ``type_``.
    """
    converted = [_convert(type_, cell) for cell in cells]
    if type_ in (ColumnType.DOUBLE, ColumnType.FLOAT):
        with np.errstate(over="ignore"):
            return np.array(converted, np.float64).astype(_DTYPES[type_])
    return object_or_typed(type_, converted)


def object_or_typed(type_: ColumnType, cells: Sequence[Any]) -> Column:
    """Return ``cells``, which already are what the type holds or None, as an array."""
    if type_ in _DTYPES and None not in cells:
        try:
            return np.array(cells, _DTYPES[type_])
        except OverflowError as error:
            raise CellMismatch(f"a whole number does not fit {type_.value}") from error
    column = np.empty(len(cells), np.object_)
    column[:] = cells
    return column


def storable_text(text: str) -> str:
    """Return ``text`` as both engines can hold it."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub(lambda match: "␀" if match[0] == "\0" else "�", text)


def json_text(value: Any) -> str:
    """Return the JSON text of a cell; NaN and NaT become null, bytes base64, what is unknown its ``str``."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        return storable_text(orjson.dumps(value, default=_jsonable, option=options).decode())
    except (orjson.JSONEncodeError, RecursionError):
        return storable_text(json.dumps(value, default=_jsonable, ensure_ascii=True, skipkeys=True))


def microseconds(moment: Any) -> int:
    """Return a moment as microseconds since the epoch; text is ISO 8601, UTC where it names no zone."""
    if isinstance(moment, bool):
        raise CellMismatch("a boolean is no time")
    if isinstance(moment, int):
        return moment // _NANOSECONDS  # MLflow answers nanoseconds
    if isinstance(moment, np.datetime64):
        return int(moment.astype("datetime64[ns]").astype(np.int64)) // _NANOSECONDS
    if isinstance(moment, str):
        try:
            parsed = datetime.fromisoformat(_to_microseconds(moment))
        except ValueError as error:
            raise CellMismatch("text is no ISO 8601 time") from error
    elif isinstance(moment, datetime):
        parsed = moment
    else:
        raise CellMismatch(f"{type(moment).__name__} is no time")
    since = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _to_microseconds(text: str) -> str:
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def is_missing(cell: Any) -> bool:
    """Return whether a cell is None, NaN or NaT."""
    if cell is None:
        return True
    if isinstance(cell, float | np.floating):
        return bool(np.isnan(cell))
    return type(cell).__name__ in ("NaTType", "NAType") or (isinstance(cell, np.datetime64) and bool(np.isnat(cell)))


def _convert(type_: ColumnType, cell: Any) -> Any:
    if type_ is ColumnType.JSON:
        return json_text(cell)
    if is_missing(cell):
        return np.nan if type_ in (ColumnType.DOUBLE, ColumnType.FLOAT) else None
    return _CONVERTERS[type_](cell)


def _number(cell: Any) -> float:
    if isinstance(cell, int | float | np.number | np.bool_):
        try:
            return float(cell)
        except OverflowError as error:
            raise CellMismatch("a whole number does not fit double") from error
    raise CellMismatch(f"{type(cell).__name__} is no number")


def _whole(bits: int) -> Callable[[Any], int]:
    limit = 1 << (bits - 1)

    def whole(cell: Any) -> int:
        if isinstance(cell, float | np.floating) and cell.is_integer():
            cell = int(cell)
        if not isinstance(cell, int | np.integer | np.bool_):
            raise CellMismatch(f"{type(cell).__name__} is no whole number")
        if not -limit <= int(cell) < limit:
            raise CellMismatch(f"a whole number does not fit {bits} bits")
        return int(cell)

    return whole


def _truth(cell: Any) -> bool:
    if isinstance(cell, bool | np.bool_) or (isinstance(cell, int) and cell in (0, 1)):
        return bool(cell)
    raise CellMismatch(f"{type(cell).__name__} is no boolean")


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return storable_text(cell)
    return json_text(cell.item() if isinstance(cell, np.generic) else cell)


def _bytes(cell: Any) -> bytes:
    if isinstance(cell, bytes | bytearray | np.bytes_):
        return bytes(cell)
    if isinstance(cell, str):
        try:
            return base64.decodebytes(cell.encode())
        except ValueError as error:
            raise CellMismatch("text is no base64") from error
    raise CellMismatch(f"{type(cell).__name__} is no binary")


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if is_missing(value) else str(value)


_CONVERTERS: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.DOUBLE: _number,
    ColumnType.FLOAT: _number,
    ColumnType.LONG: _whole(64),
    ColumnType.INTEGER: _whole(32),
    ColumnType.BOOLEAN: _truth,
    ColumnType.STRING: _text,
    ColumnType.DATETIME: microseconds,
    ColumnType.BINARY: _bytes,
}
