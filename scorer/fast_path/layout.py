"""How the columns of one signature lie in a DataFrame: MLflow's order, types and memory, built from whole blocks.

MLflow hands the model a frame made from one Series per column, which pandas packs into one C-ordered block per type.
``to_numpy()`` of such a frame is F-ordered, and the order decides the last bits of a BLAS result, so the blocks here
have the same shape and order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType
from driftline.store.typed_payload import BLOCK_TYPES

try:  # pandas 3: one call for blocks of several types
    from pandas.api.internals import create_dataframe_from_blocks
except ImportError:
    create_dataframe_from_blocks = None

Blocks = Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Group:
    """The columns of one type: their names and their places in the frame."""

    type: ColumnType
    names: tuple[str, ...]
    positions: NDArray[np.intp]


class Layout:
    """The frame of a set of columns.

    Args:
        types: the type of each column by name, in the signature's order.
        text_dtype: what MLflow's frames hold text as; ``object``, or the text type of pandas 3.
    """

    def __init__(self, types: Mapping[str, ColumnType], text_dtype: Any) -> None:
        self.names = tuple(types)
        self.groups = tuple(self._group(type_, types) for type_ in BLOCK_TYPES if type_ in types.values())
        self._columns = pd.Index(list(self.names))
        self._is_frozen = _freeze(self._columns)
        self._text_dtype = text_dtype
        self._text_is_plain = text_dtype == np.dtype(object)
        self._one_block = len(self.groups) == 1 and self._is_plain(self.groups[0])

    @staticmethod
    def _group(type_: ColumnType, types: Mapping[str, ColumnType]) -> Group:
        chosen = [(i, name) for i, name in enumerate(types) if types[name] is type_]
        return Group(type_, tuple(name for _, name in chosen), np.array([i for i, _ in chosen], np.intp))

    def _is_plain(self, group: Group) -> bool:
        return group.type is not ColumnType.STRING or self._text_is_plain

    def holds(self, blocks: Blocks) -> bool:
        """Tell whether these blocks make MLflow's frame: to pandas 3 a column of nothing but nulls is no text."""
        return self._text_is_plain or all(
            any(cell is not None for cell in column)
            for group, block in zip(self.groups, blocks, strict=True)
            if group.type is ColumnType.STRING
            for column in block
        )

    def data_frame(self, blocks: Blocks, rows: int, labels: list[int] | None) -> pd.DataFrame:
        """Return a new frame: what a model does to it is seen neither in ``blocks`` nor in another frame.

        Args:
            blocks: per group, shape (columns of the group, rows).
            labels: the row index; None for 0, 1, 2 and so on.
        """
        index = pd.RangeIndex(rows) if labels is None else pd.Index(labels)
        columns = self._columns.view() if self._is_frozen else self._columns.copy(deep=True)
        if create_dataframe_from_blocks is not None:
            return create_dataframe_from_blocks(list(self._parts(blocks)), index=index, columns=columns)
        if self._one_block:
            return pd.DataFrame(blocks[0].copy().T, index=index, columns=columns, copy=False)
        parts = list(self._parts(blocks))
        by_position = {int(at): column for values, places in parts for at, column in zip(places, values, strict=True)}
        frame = pd.DataFrame({i: by_position[i] for i in range(len(self.names))}, index=index)
        frame.columns = columns
        return frame

    def _parts(self, blocks: Blocks) -> Any:
        for group, block in zip(self.groups, blocks, strict=True):
            if self._is_plain(group):
                yield block.copy(), group.positions
                continue
            make = self._text_dtype.construct_array_type()._from_sequence
            for row, position in zip(block, group.positions, strict=True):
                yield make(row, dtype=self._text_dtype), np.array([position])


def _freeze(index: pd.Index) -> bool:
    """Make the memory of column names read-only where pandas can, and look them up once.

    Frames may share frozen names, with the lookup table that would take 30 µs to build again. A model that writes into
    that memory, as ``columns.values[0] = ...``, gets an error then, and MLflow's own function answers its request.
    """
    index.array._readonly = True
    try:
        index.values[0] = index[0]
    except ValueError:
        return bool(index.is_unique and index[0] in index)
    return False
