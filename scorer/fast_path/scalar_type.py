"""The scalar types of a signature, and JSON cells of them as NumPy arrays.

A cell is taken only with the exact Python type that MLflow's coercion leaves as it is. Numbers in a text, booleans for
numbers, fractions for integers and the like are coerced by MLflow too, silently, but by rules that differ between
formats and releases: those are MLflow's to apply.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType

# Up to here every integer is a double. Beyond, MLflow rounds a column of integers once on its way to 32 bits, and a
# column with one fraction among them twice.
_EXACT_IN_DOUBLE = 2.0**53
_INT32 = np.iinfo(np.int32)


_EXACT: dict[ColumnType, frozenset[type]] = {
    ColumnType.DOUBLE: frozenset({float, int, type(None)}),
    ColumnType.FLOAT: frozenset({float, int, type(None)}),
    ColumnType.LONG: frozenset({int}),
    ColumnType.INTEGER: frozenset({int}),
    ColumnType.BOOLEAN: frozenset({bool}),
    ColumnType.STRING: frozenset({str, type(None)}),
}


def scalar_array(type_: ColumnType, cells: list[Any]) -> NDArray[Any] | None:
    """Return the cells as an array of the column's type, or None where MLflow must look.

    Args:
        cells: values as JSON gave them; null is None.

    Returns:
        Shape (cells,). Text is an object array of str and None.

    Raises:
        OverflowError: an integer that 64 bits, or a double, do not hold.
        UnicodeEncodeError: a text with a lone surrogate, which some versions of pandas refuse.
    """
    if not _EXACT[type_].issuperset(map(type, cells)):
        return None
    return _MAKE[type_](cells)


def _narrow_floats(cells: list[Any]) -> NDArray[np.float32] | None:
    wide = np.array(cells, np.float64)
    return None if (np.abs(wide) > _EXACT_IN_DOUBLE).any() else wide.astype(np.float32)


def _narrow_integers(cells: list[Any]) -> NDArray[np.int32] | None:
    wide = np.array(cells, np.int64)
    return None if wide.min() < _INT32.min or wide.max() > _INT32.max else wide.astype(np.int32)


def _texts(cells: list[Any]) -> NDArray[np.object_]:
    "".join(filter(None, cells)).encode()
    texts = np.empty(len(cells), np.object_)
    texts[:] = cells
    return texts


_MAKE: dict[ColumnType, Callable[[list[Any]], NDArray[Any] | None]] = {
    ColumnType.DOUBLE: partial(np.array, dtype=np.float64),
    ColumnType.FLOAT: _narrow_floats,
    ColumnType.LONG: partial(np.array, dtype=np.int64),
    ColumnType.INTEGER: _narrow_integers,
    ColumnType.BOOLEAN: partial(np.array, dtype=np.bool_),
    ColumnType.STRING: _texts,
}
