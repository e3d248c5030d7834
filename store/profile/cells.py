"""What one cell means as a number: missing, a number, or neither."""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN_TYPES = {float, int, bool, type(None)}


def to_floats(cells: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
    """Return cells as float64 with NaN where missing, and how many were not numbers (they become NaN too).

    Args:
        cells: shape (rows,); numbers, booleans, datetimes (as microseconds since the epoch), None, or anything.
    """
    if cells.dtype.kind in "fiub":
        return cells.astype(np.float64), 0
    if cells.dtype.kind == "M":
        stamps = cells.astype("datetime64[us]")
        return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64).astype(np.float64)), 0
    listed = cells.tolist()
    if set(map(type, listed)) <= _PLAIN_TYPES:
        return np.array(listed, dtype=object).astype(np.float64), 0  # None becomes NaN
    floats = np.array([_to_number(cell) for cell in listed], dtype=np.float64)
    strange = [cell for cell, number in zip(listed, floats.tolist(), strict=True) if math.isnan(number)]
    return floats, sum(not is_missing(cell) for cell in strange)


def is_missing(cell: object) -> bool:
    """Whether a cell holds nothing: None, NaN, or pandas' NA and NaT."""
    return (
        cell is None
        or (isinstance(cell, (float, np.floating)) and math.isnan(cell))
        or type(cell).__name__
        in (
            "NAType",
            "NaTType",
        )
    )


def _to_number(cell: object) -> float:
    if isinstance(cell, datetime):
        cell = cell if cell.tzinfo else cell.replace(tzinfo=UTC)
        try:
            delta = cell - datetime(1970, 1, 1, tzinfo=UTC)
        except TypeError:  # NaT is a datetime that is none
            return math.nan
        return float(delta.days * 86_400_000_000 + delta.seconds * 1_000_000 + delta.microseconds)
    if isinstance(cell, (str, bytes)) or cell is None:
        return math.nan
    try:
        return float(cell)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf if cell > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return math.nan
