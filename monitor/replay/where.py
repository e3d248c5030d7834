"""Where two versions disagree: the inputs whose ranges or categories hold more of the differing rows than others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from driftline.monitor.drift.phrases import number, shortened
from driftline.monitor.replay.intervals import wilson
from driftline.store.payload.typed_cells import Column
from driftline.store.prediction_columns import ColumnType, PredictionColumn

MOST_COLUMNS = 3
_BINS = 5
_CATEGORIES = 8
_LEVEL = 0.01  # of false findings over all columns
_NUMBERS = (ColumnType.DOUBLE, ColumnType.FLOAT, ColumnType.LONG, ColumnType.INTEGER, ColumnType.DATETIME)
_RANKS = ("most frequent", "2nd", "3rd", *(f"{i}th" for i in range(4, _CATEGORIES + 1)))


@dataclass(frozen=True, slots=True)
class Region:
    """Some values of one input, and how many of its rows differ."""

    said: str
    rows: int
    differing: int


@dataclass(frozen=True, slots=True)
class TellingColumn:
    """An input by whose values the disagreement varies more than chance lets it; ``p`` is over all columns."""

    name: str
    p: float
    regions: tuple[Region, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "column": self.name, "p": self.p,
            "regions": [
                {"values": r.said, "rows": r.rows, "share": r.differing / r.rows, "share_interval": wilson(
                    r.differing, r.rows
                )} for r in self.regions
            ],
        }  # fmt: skip


def telling_columns(
    inputs: Sequence[tuple[PredictionColumn, Column]], differing: NDArray[np.bool_], *, show_values: bool = False
) -> list[TellingColumn]:
    """Return at most three inputs, those first by which the disagreement varies most; none where it does not.

    Ranges are fifths of the rows; numbers are told, as edges of ranges are, texts only where values may be. Each column
    is tested by Pearson's chi-square over its regions of at least five expected differing rows, and the smallest p
    times the number of columns decides.

    Args:
        inputs: columns with cells, shape (rows,).
        differing: per row.
        show_values: name categories by their values instead of by their rank.
    """
    total = float(differing.mean()) if len(differing) else 0.0
    if not 0 < total < 1:
        return []
    found = []
    for column, cells in inputs:
        groups = _regions(column, cells, show_values)
        counted = [Region(said, int(mask.sum()), int(differing[mask].sum())) for said, mask in groups]
        tested = [r for r in counted if min(total, 1 - total) * r.rows >= 5]
        if len(tested) < 2:
            continue
        share = sum(r.differing for r in tested) / sum(r.rows for r in tested)
        if not 0 < share < 1:
            continue
        chi = sum((r.differing - share * r.rows) ** 2 / (share * (1 - share) * r.rows) for r in tested)
        p = min(1.0, float(chdtrc(len(tested) - 1, chi)) * len(inputs))
        if p < _LEVEL:
            found.append(
                (p, -chi / (len(tested) - 1), TellingColumn(column.name, p, tuple(r for r in counted if r.rows)))
            )
    return [column for _, _, column in sorted(found, key=lambda each: each[:2])][:MOST_COLUMNS]


def _regions(column: PredictionColumn, cells: Column, show_values: bool) -> list[tuple[str, NDArray[np.bool_]]]:
    if column.type in _NUMBERS:
        values = np.array([np.nan if cell is None else cell for cell in cells.tolist()], np.float64)
        missing = np.isnan(values)
        if len(np.unique(values[~missing])) > _CATEGORIES:
            return [*_ranges(column, values), ("missing", missing)]
    if column.type in (ColumnType.JSON, ColumnType.BINARY):
        return []
    is_number = column.type in _NUMBERS
    absent = np.array([cell is None or cell != cell for cell in cells.tolist()], np.bool_)  # noqa: PLR0124 - NaN
    names, places, counts = np.unique(cells[~absent].astype(str), return_inverse=True, return_counts=True)
    codes = np.full(len(cells), -1)
    codes[~absent] = places
    regions = []
    for rank, code in enumerate(np.argsort(-counts, kind="stable")[:_CATEGORIES].tolist()):
        name = _edge(column, float(names[code])) if is_number else shortened(str(names[code]))
        regions.append((name if is_number or show_values else f"{_RANKS[rank]} value", codes == code))
    rest = np.isin(codes, np.argsort(-counts, kind="stable")[_CATEGORIES:])
    return [*regions, ("other values", rest), ("missing", absent)]


def _ranges(column: PredictionColumn, values: NDArray[np.float64]) -> list[tuple[str, NDArray[np.bool_]]]:
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, values, side="left")
    place[np.isnan(values)] = -1
    said = [_edge(column, edge) for edge in edges.tolist()]
    names = [f"up to {said[0]}", *(f"{a} to {b}" for a, b in pairwise(said)), f"above {said[-1]}"]
    return [(name, place == i) for i, name in enumerate(names)]


def _edge(column: PredictionColumn, value: float) -> str:
    if column.type is ColumnType.DATETIME:
        return str(np.datetime64(int(value), "us").astype("datetime64[m]"))
    return number(value)
