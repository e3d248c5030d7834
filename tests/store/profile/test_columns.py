"""What of each column is profiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.columns import MOST_CATEGORIES, TEXT_CATEGORIES, ProfiledColumn, profile_column
from driftline.store.profile.reference import Reference


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("amount", "numeric"), ("ratio", "numeric"), ("children", "numeric"), ("age", "numeric"),
        ("member", "categorical"), ("region", "categorical"), ("note", "text"), ("at", "numeric"),
        ("image", "length"), ("detail", "length"),
    ],
)  # fmt: skip
def test_the_kind_follows_from_type_and_reference(reference: Reference, column: str, kind: str) -> None:
    assert {p.column.name: p.kind for p in reference.profiled}[column] == kind


def test_a_text_column_keeps_its_most_frequent_values_and_its_length() -> None:
    cells = np.array(["often"] * 50 + [f"once {i}" for i in range(MOST_CATEGORIES)], dtype=object)
    profiled = profile_column(PredictionColumn("input", "t", "t", ColumnType.STRING), cells)
    assert profiled.categories is not None
    assert len(profiled.categories) == TEXT_CATEGORIES
    assert profiled.categories[0] == "often"
    assert profiled.numbers(np.array(["four", None], dtype=object))[0].tolist() == pytest.approx(
        [4, np.nan], nan_ok=True
    )


def test_a_column_survives_its_json(reference: Reference) -> None:
    for profiled in reference.profiled:
        assert ProfiledColumn.from_json(profiled.to_json()).to_json() == profiled.to_json()


@pytest.mark.parametrize("type_", list(ColumnType))
def test_any_type_meets_any_cells_without_failing(
    type_: ColumnType, rows_of: Callable[[int, int], dict[str, Any]]
) -> None:
    for cells in (*rows_of(1, 40).values(), np.empty(0, dtype=object), np.array([None, float("nan")], dtype=object)):
        profiled = profile_column(PredictionColumn("input", "x", "x", type_), cells)
        assert profiled.bins is not None or profiled.categories is not None
