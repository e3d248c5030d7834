"""Rows as numbers that boosted trees take: what of each input the classifier sees.

| column | what it sees |
|---|---|
| numeric | the number |
| categorical, text | which of the reference's ``MOST_CODES`` most frequent values it is, or another |
| text, bytes, JSON, tensors | the length |
| date and time | nothing: times always move on |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType
from driftline.store.profile.categorical import category_key, storable_name
from driftline.store.profile.columns import ProfiledColumn

if TYPE_CHECKING:
    import pandas as pd

MOST_CODES = 250  # the trees hold 255 values of a categorical column


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of numbers: of which input, and whether the numbers are codes of categories."""

    profiled: ProfiledColumn
    categorical: bool

    def numbers(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Return the cells of a frame by column name as numbers, NaN where missing, shape (rows,)."""
        cells = frame[self.profiled.column.column_name].to_numpy()
        if not self.categorical:
            values = self.profiled.numbers(cells)[0]
            return np.where(np.isfinite(values), values, np.nan)
        codes = {name: code for code, name in enumerate((self.profiled.categories or ())[:MOST_CODES])}
        coded: dict[object, float] = {}  # cells repeat, keys cost
        return np.array([_code(cell, codes, coded) for cell in cells.tolist()], dtype=np.float64)


def features_of(profiled: Sequence[ProfiledColumn]) -> list[Feature]:
    """Return what the classifier sees of these columns."""
    features = []
    for each in profiled:
        if each.column.type is ColumnType.DATETIME:
            continue
        if each.categories is not None:
            features.append(Feature(each, categorical=True))
        if each.bins is not None:
            features.append(Feature(each, categorical=False))
    return features


def matrix(features: Sequence[Feature], frame: "pd.DataFrame") -> NDArray[np.float64]:
    """Return a frame's rows as numbers, shape (rows, features)."""
    return np.stack([feature.numbers(frame) for feature in features], axis=1)


def _code(cell: object, codes: dict[str, int], coded: dict[object, float]) -> float:
    place = (type(cell), cell)  # Python holds 1, 1.0 and True equal
    if place not in coded:
        key = category_key(cell)
        coded[place] = np.nan if key is None else float(codes.get(storable_name(key), MOST_CODES))
    return coded[place]
