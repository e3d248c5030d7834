"""Which segment a row belongs to, decided once from the training data, and what the training data held in each.

A segment is a value of one input column, or a span of its numbers. Every row is in exactly one: the most frequent
values of training have one each, ``other`` has the rest and ``missing`` the cells without a value. A value that is
itself called ``other`` or ``missing`` belongs there.
"""

import base64
import functools
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from driftline.store.errors import ConfigurationError
from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.categorical import category_key, storable_name
from driftline.store.profile.columns import column_numbers
from driftline.store.profile.profile import Profile

if TYPE_CHECKING:
    from driftline.store.profile.reference import Reference

OTHER, MISSING = "other", "missing"
_FLOATS = (ColumnType.DOUBLE, ColumnType.FLOAT)
_NUMBERS = (*_FLOATS, ColumnType.LONG, ColumnType.INTEGER)
_VALUES = (*_NUMBERS, ColumnType.STRING, ColumnType.BOOLEAN)
_HASH_DIGITS = 16


@dataclass(frozen=True)
class SegmentedColumn:
    """A column and its segments.

    Attributes:
        name: in the signature; ``column_name`` in the prediction table.
        type: of its cells.
        values: the segments but ``other`` and ``missing``: values, most frequent first, or spans of numbers, rising.
        cuts: between the spans; empty where segments are values.
        max_values: that were allowed.
    """

    name: str
    column_name: str
    type: ColumnType
    values: tuple[str, ...]
    cuts: tuple[float, ...]
    max_values: int

    @functools.cached_property
    def segments(self) -> tuple[str, ...]:
        """All segments, in the order in which they are shown."""
        return (*self.values, OTHER, MISSING)

    @functools.cached_property
    def spec(self) -> str:
        """What tells counts by this column from those by another, or by other values: hexadecimal digits."""
        return hashlib.sha256(orjson.dumps(self.to_json())).hexdigest()[:_HASH_DIGITS]

    def places(self, cells: NDArray[Any] | None, rows: int) -> NDArray[np.int64]:
        """Return each row's segment by its place in ``segments``, shape (rows,).

        Args:
            cells: of the column, shape (rows,); None where the data lack it.
        """
        if cells is None:
            return np.full(rows, self._index[MISSING])
        if not self.cuts and self.type not in _FLOATS:
            return np.array([self._place(cell) for cell in cells.tolist()], np.int64)
        numbers, _ = column_numbers(self.type, cells)
        if self.cuts:
            spans = np.digitize(numbers, self.cuts)
            return np.where(np.isnan(numbers), self._index[MISSING], spans).astype(np.int64)
        distinct, inverse = np.unique(numbers, return_inverse=True)
        return np.array([self._place(cell) for cell in distinct.tolist()], np.int64)[inverse]

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.segments)}

    def _place(self, cell: object) -> int:
        key = cell if type(cell) is str else category_key(cell)
        if key is None:
            return self._index[MISSING]
        place = self._index.get(key)
        return self._index.get(storable_name(key), self._index[OTHER]) if place is None else place

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "column_name": self.column_name, "type": self.type.value,
            "values": self.values, "cuts": self.cuts, "max_values": self.max_values,
        }  # fmt: skip

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            raw["name"], raw["column_name"], ColumnType(raw["type"]), tuple(raw["values"]),
            tuple(map(float, raw["cuts"])), int(raw["max_values"]),
        )  # fmt: skip


def segmented_column(
    column: PredictionColumn, cuts: tuple[float, ...], cells: NDArray[Any], max_values: int
) -> SegmentedColumn:
    """Decide a column's segments from its training cells.

    Raises:
        ConfigurationError: the column's type has no segments; or it holds numbers of many values and there are no cuts,
            or others and there are cuts.
    """
    if column.type not in (_NUMBERS if cuts else _VALUES):
        wanted = "cuts need numbers" if cuts else "segments are of text, booleans or numbers"
        raise ConfigurationError(f"segments.columns names {column.name}, which is {column.type.value}: {wanted}")
    if cuts:
        shown = [f"{cut:g}" for cut in cuts]
        between = [f"{low} to {high}" for low, high in pairwise(shown)]
        return SegmentedColumn(
            column.name, column.column_name, column.type,
            (f"below {shown[0]}", *between, f"from {shown[-1]}"), cuts, max_values,
        )  # fmt: skip
    listed = column_numbers(column.type, cells)[0].tolist() if column.type in _FLOATS else cells.tolist()
    counts = Counter(storable_name(key) for key in map(category_key, listed) if key is not None)
    if column.type in _FLOATS and len(counts) > max_values:
        raise ConfigurationError(
            f"segments.columns names {column.name}, a number of {len(counts)} values in training: cut it, as "
            f'"{column.name}:0:10", or raise segments.max_values'
        )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    values = tuple(value for value, _ in ranked if value not in (OTHER, MISSING))[:max_values]
    return SegmentedColumn(column.name, column.column_name, column.type, values, (), max_values)


@dataclass(frozen=True, eq=False)
class SegmentPart:
    """What training held in one segment: rows, the packed profile, and what the judge has simulated from it.

    ``performance`` is the model's on labelled rows of the segment, as ``Reference.performance``; None where it was not
    measured.
    """

    rows: int
    packed_profile: bytes = field(repr=False)
    calibration: dict[str, Any] | None = field(default=None, repr=False)
    performance: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class SegmentedReference:
    """The training data of a reference by the segments of one column, on the reference's own bins.

    Attributes:
        parts: by segment; those without training rows are absent.
        counted_rows: training rows that were told apart: all of them, or a sample's.
    """

    column: SegmentedColumn
    parts: Mapping[str, SegmentPart] = field(repr=False)
    counted_rows: int

    def reference(self, whole: "Reference", segment: str) -> "Reference | None":
        """Return the training rows of one segment as a reference on the whole's bins; None where there are none."""
        part = self.parts.get(segment)
        if part is None:
            return None
        made = replace(
            whole, packed_profile=part.packed_profile, row_count=part.rows, calibration=part.calibration, segments=(),
            performance=part.performance,
        )  # fmt: skip
        # The same columns have the same places and hash, which are costly to find anew for each segment.
        made.__dict__.update(layout=whole.layout, spec_hash=whole.spec_hash)
        return made

    def with_calibrations(self, calibrations: Mapping[str, dict[str, Any]]) -> "SegmentedReference":
        """Return the same with simulated tables of some segments in the place of older ones."""
        parts = {
            name: replace(part, calibration=calibrations.get(name, part.calibration))
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts)

    def with_performances(self, performances: Mapping[str, dict[str, Any]]) -> "SegmentedReference":
        """Return the same with the model's performance in some segments."""
        parts = {
            name: replace(part, performance=performances.get(name, part.performance))
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts)

    def to_json(self) -> dict[str, Any]:
        parts = {
            name: {
                "rows": part.rows,
                "profile": base64.b64encode(part.packed_profile).decode(),
                "calibration": part.calibration,
                "performance": part.performance,
            }
            for name, part in self.parts.items()
        }
        return {"column": self.column.to_json(), "counted_rows": self.counted_rows, "parts": parts}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        parts = {
            name: SegmentPart(
                int(part["rows"]), base64.b64decode(part["profile"]), part["calibration"], part.get("performance")
            )
            for name, part in raw["parts"].items()
        }
        return cls(SegmentedColumn.from_json(raw["column"]), parts, int(raw["counted_rows"]))


def add_by_segment(
    profiles: dict[str, Profile],
    empty: "Reference",
    column: SegmentedColumn,
    data: Mapping[str, NDArray[Any]],
    rows: int,
) -> None:
    """Count rows into the profiles of their segments, which are made where they are not there.

    Args:
        profiles: by segment.
        empty: the reference on whose bins they are counted.
        data: arrays of ``rows`` cells by column name.
    """
    places = column.places(data.get(column.column_name), rows)
    for place in np.unique(places).tolist():
        chosen = np.flatnonzero(places == place)
        profile = profiles.setdefault(column.segments[place], empty.empty_profile())
        profile.add({name: cells[chosen] for name, cells in data.items()}, len(chosen))


def segmented_reference(
    whole: "Reference", column: SegmentedColumn, data: Mapping[str, NDArray[Any]], rows: int
) -> SegmentedReference:
    """Tell training rows apart by a column.

    Args:
        whole: the reference of all training rows.
        data: training rows, or a sample of them: arrays of ``rows`` cells by column name.
    """
    profiles: dict[str, Profile] = {}
    add_by_segment(profiles, whole, column, data, rows)
    parts = {name: SegmentPart(profile.row_count, profile.to_bytes()) for name, profile in profiles.items()}
    return SegmentedReference(column, parts, rows)
