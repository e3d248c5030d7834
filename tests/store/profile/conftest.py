"""Columns and rows of every type, for the profile tests."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.store.prediction_columns import ColumnType, PredictionColumn
from driftline.store.profile.reference import Reference, build_reference

Data = Mapping[str, NDArray[Any]]

COLUMNS = tuple(
    PredictionColumn("input" if name != "score" else "output", name, name, type_)
    for name, type_ in [
        ("amount", ColumnType.DOUBLE),
        ("ratio", ColumnType.FLOAT),
        ("children", ColumnType.LONG),
        ("age", ColumnType.INTEGER),
        ("member", ColumnType.BOOLEAN),
        ("region", ColumnType.STRING),
        ("note", ColumnType.STRING),
        ("at", ColumnType.DATETIME),
        ("image", ColumnType.BINARY),
        ("detail", ColumnType.JSON),
        ("score", ColumnType.DOUBLE),
    ]
)


def make_rows(rng: np.random.Generator, rows: int) -> dict[str, NDArray[Any]]:
    """Rows of every column type, with missing cells."""

    def with_missing(values: NDArray[Any], missing: object, share: float = 0.05) -> NDArray[Any]:
        values[rng.random(rows) < share] = missing
        return values

    def words(prefix: str, distinct: int) -> NDArray[Any]:
        return np.array([f"{prefix}{i}" for i in rng.integers(0, distinct, rows)], dtype=object)

    return {
        "amount": with_missing(rng.lognormal(3, 1, rows), np.nan),
        "ratio": rng.random(rows).astype(np.float32),
        "children": with_missing(rng.poisson(1.3, rows).astype(object), None),
        "age": rng.integers(18, 90, rows).astype(np.int32),
        "member": rng.random(rows) < 0.3,
        "region": with_missing(words("region ", 9), None),
        "note": words("note ", 100_000),
        "at": 1_700_000_000_000_000 + rng.integers(0, 10**12, rows),
        "image": np.array([b"x" * int(n) for n in rng.integers(0, 50, rows)], dtype=object),
        "detail": np.array(["[" + "1," * int(n) + "1]" for n in rng.integers(0, 5, rows)], dtype=object),
        "score": rng.beta(2, 5, rows),
    }


@pytest.fixture(scope="session")
def rows_of() -> Callable[[int, int], dict[str, NDArray[Any]]]:
    """Rows by seed and count."""
    return lambda seed, rows: make_rows(np.random.default_rng(seed), rows)


@pytest.fixture(scope="session")
def reference() -> Reference:
    """A reference of 5,000 rows of every column type."""
    rows = make_rows(np.random.default_rng(1), 5000)
    return build_reference(COLUMNS, rows, source="made up", made_at_us=1_700_000_000_000_000)
