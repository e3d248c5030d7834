"""The rows of one request, typed, before they become a DataFrame."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftline.scorer.fast_path.layout import Blocks, Layout
from driftline.store.typed_payload import TypedLayout


class Frame:
    """Rows of a request in the signature's columns. What a model does to its DataFrame is not seen here.

    Attributes:
        rows: how many, at least one.
        params: what the pyfunc gets as ``params``.
        join_key: frames with equal keys may be joined; None for a frame with parameters or row labels of its own.
    """

    __slots__ = ("_blocks", "_labels", "_layout", "_signature_names", "join_key", "params", "rows")

    def __init__(
        self,
        layout: Layout,
        signature_names: Sequence[str],
        blocks: Blocks,
        labels: list[int] | None,
        params: Any,
        own_params: bool,
    ) -> None:
        self._layout = layout
        self._signature_names = signature_names
        self._blocks = blocks
        self._labels = labels
        self.params = params
        self.rows: int = blocks[0].shape[1]
        counted = labels is None or labels == list(range(self.rows))
        self.join_key: Hashable = layout.names if counted and not own_params else None

    @property
    def columns(self) -> list[NDArray[Any] | None]:
        """One array per column of the signature, in its order; None for an optional column that is absent."""
        by_name = {
            name: column
            for group, block in zip(self._layout.groups, self._blocks, strict=True)
            for name, column in zip(group.names, block, strict=True)
        }
        return [by_name.get(name) for name in self._signature_names]

    def pack(self, typed_layout: TypedLayout) -> bytes | None:
        """Return the rows as a record holds them, None where it cannot hold them exactly."""
        if len(self._layout.names) == len(self._signature_names):
            return typed_layout.pack_blocks(self._blocks, None, self.rows)
        return typed_layout.pack(self.columns, None, self.rows)

    @property
    def data_frame(self) -> pd.DataFrame:
        """What MLflow would hand to the model; a new one at every access."""
        return self._layout.data_frame(self._blocks, self.rows, self._labels)

    def matrix(self, layout: Layout) -> NDArray[Any] | None:
        """Return the rows as scikit-learn makes a matrix of ``data_frame``, for a layout whose columns are one block.

        Returns:
            A new array, shape (rows, columns), in Fortran's order; None where the rows have labels of their own, or
            other columns than the layout.
        """
        if self._labels is not None or (self._layout is not layout and self._layout.names != layout.names):
            return None
        return self._blocks[0].copy().T

    @classmethod
    def joined(cls, frames: Sequence["Frame"]) -> "Frame":
        """Return the rows of all frames in order, labelled 0, 1, 2 and so on.

        Raises:
            ValueError: no frame, or frames whose join keys differ or are None.
        """
        if len({frame.join_key for frame in frames}) != 1 or frames[0].join_key is None:
            raise ValueError("only frames with one and the same join key can be joined")
        first = frames[0]
        if len(frames) == 1:
            return first
        blocks = [np.concatenate(parts, axis=1) for parts in zip(*(frame._blocks for frame in frames), strict=True)]
        return cls(first._layout, first._signature_names, blocks, None, first.params, own_params=False)
